/** The models that the simulated Anthropic lists, and the snapshots that its aliases stand for. */
import { type Answer, NO_USAGE } from './answer.ts'
import { refuse } from './anthropic-errors.ts'

const MODELS: readonly (readonly [id: string, name: string, created: string, alias?: string])[] = [
  ['claude-haiku-5-5', 'Claude Haiku 5.5', '2026-10-20T00:00:00Z'],
  ['claude-sonnet-5-5', 'Claude Sonnet 5.5', '2026-10-06T00:00:00Z'],
  ['claude-opus-5-5', 'Claude Opus 5.5', '2026-09-15T00:00:00Z'],
  ['claude-opus-4-5-20251101', 'Claude Opus 4.5', '2025-11-24T00:00:00Z', 'claude-opus-4-5'],
  ['claude-haiku-4-5-20251001', 'Claude Haiku 4.5', '2025-10-15T00:00:00Z', 'claude-haiku-4-5'],
  ['claude-sonnet-4-5-20250929', 'Claude Sonnet 4.5', '2025-09-29T00:00:00Z', 'claude-sonnet-4-5'],
]

const SNAPSHOTS = new Map(MODELS.map(([id, , , alias]) => [alias ?? id, id]))

/** The name in the answer; a model that is no alias answers under its own. */
export const snapshotOf = (model: string) => SNAPSHOTS.get(model) ?? model

/** Another vendor's model: a mistake in routing that must not go unnoticed. Any other name is taken. */
export function checkModel(model: string) {
  if (/^(gpt|o\d|text-embedding|gemini|mistral|command)-?/.test(model)) throw refuse(404, `model: ${model}`)
}

const describe = ([id, display_name, created_at]: (typeof MODELS)[number]) => ({
  type: 'model',
  id,
  display_name,
  created_at,
})

export function answerModels(path: string): Answer {
  const id = decodeURIComponent(path.slice('/v1/models'.length).replace(/^\//, ''))
  const known = MODELS.find(([name]) => name === snapshotOf(id))
  if (id !== '' && known === undefined) throw refuse(404, `model: ${id}`)
  const list = {
    data: MODELS.map(describe),
    has_more: false,
    first_id: MODELS[0]?.[0],
    last_id: MODELS.at(-1)?.[0],
  }
  return {
    model: id,
    responseModel: id,
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: { kind: 'unary', text: JSON.stringify(known === undefined ? list : describe(known)) },
    usage: NO_USAGE,
  }
}
