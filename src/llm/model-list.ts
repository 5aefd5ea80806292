/** The models that there are, as the APIs list them. */

export interface ListedModel {
  readonly id: string
  readonly ownedBy: string
}

/** Of a gateway's models nobody knows when they were made: since when they can be had here. */
const SINCE_MS = performance.timeOrigin

/** https://platform.openai.com/docs/api-reference/models/object */
const openAIModel = ({ id, ownedBy }: ListedModel) => ({
  id,
  object: 'model',
  created: Math.floor(SINCE_MS / 1000),
  owned_by: ownedBy,
})

/** https://docs.anthropic.com/en/api/models */
const anthropicModel = ({ id }: ListedModel) => ({
  type: 'model',
  id,
  display_name: id,
  created_at: new Date(SINCE_MS).toISOString(),
})

/** https://platform.openai.com/docs/api-reference/models/list */
const openAIList = (models: readonly ListedModel[]) => ({ object: 'list', data: models.map(openAIModel) })

/** https://docs.anthropic.com/en/api/models-list */
function anthropicList(models: readonly ListedModel[]) {
  return {
    data: models.map(anthropicModel),
    first_id: models[0]?.id ?? null,
    has_more: false,
    last_id: models.at(-1)?.id ?? null,
  }
}

export interface Reader {
  /** Undefined for a client that may ask them all; only such a one is told of patterns. */
  readonly allows: ((model: string) => boolean) | undefined
  readonly isAnthropic: boolean
}

const isFor = ({ allows }: Reader, id: string) => allows === undefined || (!id.includes('*') && allows(id))

export function modelList(models: readonly ListedModel[], reader: Reader): string {
  const shown = models.filter(({ id }) => isFor(reader, id))
  return JSON.stringify(reader.isAnthropic ? anthropicList(shown) : openAIList(shown))
}

/** Undefined where there is none of that name for this client. `find` knows patterns. */
export function oneModel(
  id: string,
  find: (model: string) => ListedModel | undefined,
  reader: Reader,
): string | undefined {
  const found = isFor(reader, id) ? find(id) : undefined
  if (found === undefined) return undefined
  const model = { ...found, id }
  return JSON.stringify(reader.isAnthropic ? anthropicModel(model) : openAIModel(model))
}

/** `/v1/models/{id}`, with slashes in it, encoded or not. Undefined for other paths. */
export function modelIdIn(path: string): string | undefined {
  const [, id] = /^.*?\/models\/(.+)$/.exec(path) ?? []
  if (id === undefined) return undefined
  try {
    return decodeURIComponent(id)
  } catch {
    return id
  }
}
