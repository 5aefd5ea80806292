/** Where the gateway keeps its requests when the configuration names no database. */
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { makeFolder } from '../core/make-folder.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** `AGENTGATEWAY_DATA_DIR`, else as the XDG base directory specification has it. */
function dataDirectory({ AGENTGATEWAY_DATA_DIR, XDG_DATA_HOME }: Environment): string {
  if (AGENTGATEWAY_DATA_DIR) return AGENTGATEWAY_DATA_DIR
  return join(XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'agentgateway')
}

/** In memory where nothing can be written, as in a container that is read-only. */
export function databaseUrl(environment: Environment): string {
  const directory = dataDirectory(environment)
  try {
    makeFolder(resolve(directory))
    accessSync(directory, constants.W_OK)
    return `sqlite:${join(directory, 'requests.db')}`
  } catch {
    return 'sqlite::memory:'
  }
}
