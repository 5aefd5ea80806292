/** Writes schema/config.json from the zod schema and docs/configuration.md: `node scripts/write-schema.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { configJsonSchema, documentedKeys } from '../src/config/json-schema.ts'

const at = (path: string) => new URL(`../${path}`, import.meta.url)
const descriptions = documentedKeys(readFileSync(at('docs/configuration.md'), 'utf8'))
writeFileSync(at('schema/config.json'), `${JSON.stringify(configJsonSchema(descriptions), null, 2)}\n`)
