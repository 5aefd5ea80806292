/** `info`, `request=off`, `info,agentgateway=debug`: the levels of `config.logging.level` and RUST_LOG. */
import { LOG_LEVELS } from '../telemetry/schema.ts'
import { alternatives } from './problem.ts'

const isLevel = (name: string) => LOG_LEVELS.some((level) => level === name.trim().toLowerCase())

const directivesOf = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

/** What is wrong with it, if anything. */
export function levelFault(text: string): string | undefined {
  for (const directive of directivesOf(text)) {
    const name = directive.slice(directive.lastIndexOf('=') + 1)
    if (!isLevel(name))
      return `expected ${alternatives(LOG_LEVELS)}, alone or as target=level, found "${directive}"`
  }
  return undefined
}
