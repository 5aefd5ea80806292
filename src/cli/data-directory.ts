/** Where the gateway keeps its requests when the configuration names no database. */
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { makeFolder } from '../core/make-folder.ts'

type Environment = Readonly<Record<string, string | undefined>>

const DATA_DIR = 'AGENTGATEWAY_DATA_DIR'

export interface DefaultDatabase {
  readonly url: string
  /** The variable that names its folder; undefined where nobody has chosen it. */
  readonly from: string | undefined
  /** Why it is in memory. */
  readonly problem: string | undefined
}

/**
 * In the folder that `AGENTGATEWAY_DATA_DIR` names: throws when nothing can be written there. Else as the XDG base
 * directory specification has it, and in memory where that cannot be, as in a container that is read-only.
 */
export function defaultDatabase(environment: Environment): DefaultDatabase {
  const named = environment[DATA_DIR]
  if (named) {
    try {
      return { url: databaseIn(named), from: DATA_DIR, problem: undefined }
    } catch (cause) {
      throw new Error(`${DATA_DIR} is ${named}, where nothing can be kept: ${reasonOf(cause)}`, { cause })
    }
  }
  try {
    return { url: databaseIn(dataDirectory(environment)), from: undefined, problem: undefined }
  } catch (error) {
    return { url: 'sqlite::memory:', from: undefined, problem: reasonOf(error) }
  }
}

/** Throws where a process has no home. */
function dataDirectory({ XDG_DATA_HOME }: Environment): string {
  return join(XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'agentgateway')
}

/** Throws when it cannot be written. */
function databaseIn(directory: string): string {
  makeFolder(resolve(directory))
  accessSync(directory, constants.W_OK)
  return `sqlite:${join(directory, 'requests.db')}`
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
