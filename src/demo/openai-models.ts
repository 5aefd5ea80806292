/** The models that the simulated OpenAI lists, and the snapshots that it answers as. */
import type { Answer } from './answer.ts'
import { NO_USAGE } from './answer.ts'
import { modelNotFound } from './openai-errors.ts'

const MODELS: readonly (readonly [id: string, created: number, snapshot?: string])[] = [
  ['gpt-4o', 1715367049, 'gpt-4o-2024-08-06'],
  ['gpt-4o-mini', 1721172741, 'gpt-4o-mini-2024-07-18'],
  ['gpt-4.1', 1744316542, 'gpt-4.1-2025-04-14'],
  ['gpt-4.1-mini', 1744318173, 'gpt-4.1-mini-2025-04-14'],
  ['gpt-4.1-nano', 1744321025, 'gpt-4.1-nano-2025-04-14'],
  ['gpt-5', 1754425777, 'gpt-5-2025-08-07'],
  ['gpt-5-mini', 1754425928, 'gpt-5-mini-2025-08-07'],
  ['gpt-5-nano', 1754426384, 'gpt-5-nano-2025-08-07'],
  ['gpt-5.1', 1762800673, 'gpt-5.1-2025-11-13'],
  ['gpt-5.5', 1776873600, 'gpt-5.5-2026-04-23'],
  ['o3', 1744225308, 'o3-2025-04-16'],
  ['o3-mini', 1737146383, 'o3-mini-2025-01-31'],
  ['o4-mini', 1744225351, 'o4-mini-2025-04-16'],
  ['text-embedding-3-small', 1705948997],
  ['text-embedding-3-large', 1705953180],
  ['text-embedding-ada-002', 1671217299],
]

const SNAPSHOTS = new Map(MODELS.map(([id, , snapshot]) => [id, snapshot ?? id]))

/** The name in the answer; a model that is not listed answers under its own. */
export const snapshotOf = (model: string) => SNAPSHOTS.get(model) ?? model

/** Another vendor's model: a mistake in routing that must not go unnoticed. Any other name is taken. */
export function checkModel(model: string) {
  if (/^(claude|gemini|mistral|command)-/.test(model)) throw modelNotFound(model)
}

const describe = ([id, created]: (typeof MODELS)[number]) => ({
  id,
  object: 'model',
  created,
  owned_by: 'system',
})

export function answerModels(path: string): Answer {
  const id = decodeURIComponent(path.slice('/v1/models'.length).replace(/^\//, ''))
  const known = MODELS.find(([name]) => name === id)
  if (id !== '' && known === undefined) throw modelNotFound(id)
  const body = known === undefined ? { object: 'list', data: MODELS.map(describe) } : describe(known)
  return {
    model: id,
    responseModel: id,
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: { kind: 'unary', text: `${JSON.stringify(body, null, 2)}\n` },
    usage: NO_USAGE,
  }
}
