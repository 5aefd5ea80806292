/** Writes schema/config.json from the zod schema and docs/configuration.md: `node scripts/write-schema.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { configJsonSchemaText } from '../src/config/json-schema.ts'

const at = (path: string) => new URL(`../${path}`, import.meta.url)
writeFileSync(
  at('schema/config.json'),
  configJsonSchemaText(readFileSync(at('docs/configuration.md'), 'utf8')),
)
