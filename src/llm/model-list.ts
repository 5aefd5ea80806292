/** The models that there are, as the APIs list them. */

export interface ListedModel {
  readonly id: string
  readonly ownedBy: string
}

/** Of a gateway's models nobody knows when they were made: since when they can be had here. */
const SINCE_MS = performance.timeOrigin

/** https://platform.openai.com/docs/api-reference/models/list */
function openAIList(models: readonly ListedModel[]) {
  const created = Math.floor(SINCE_MS / 1000)
  const data = models.map(({ id, ownedBy }) => ({ id, object: 'model', created, owned_by: ownedBy }))
  return { object: 'list', data }
}

/** https://docs.anthropic.com/en/api/models-list */
function anthropicList(models: readonly ListedModel[]) {
  const createdAt = new Date(SINCE_MS).toISOString()
  return {
    data: models.map(({ id }) => ({ type: 'model', id, display_name: id, created_at: createdAt })),
    first_id: models[0]?.id ?? null,
    has_more: false,
    last_id: models.at(-1)?.id ?? null,
  }
}

/** `allows`: undefined for a client that may ask them all; only such a one is told of patterns. */
export function modelList(
  models: readonly ListedModel[],
  {
    allows,
    isAnthropic,
  }: { readonly allows: ((model: string) => boolean) | undefined; readonly isAnthropic: boolean },
): string {
  const shown = models.filter(({ id }) => allows === undefined || (!id.includes('*') && allows(id)))
  return JSON.stringify(isAnthropic ? anthropicList(shown) : openAIList(shown))
}
