/** What a request asks of the models of `llm:`: one of them, or which there are. */
import type { ModelBackend, PooledBackend } from './compile.ts'
import { GatewayError } from './core/errors.ts'
import { modelIdIn, modelList, oneModel } from './llm/model-list.ts'
import { type Body, parseBody, requireMethod } from './llm/plan.ts'
import type { DirectReply, RequestHead } from './policies/policy.ts'
import { requestVariables } from './policies/request-variables.ts'

/** Of a model's name, in an error. */
const SHOWN_LENGTH = 100

export type Asked =
  | { readonly reply: DirectReply }
  | { readonly tiers: PooledBackend['tiers']; readonly json: Body }

const unknownModel = (model = '') =>
  new GatewayError('model_not_found', `model ${model.slice(0, SHOWN_LENGTH)} is not configured here`)

/** Throws `GatewayError` where nobody can be asked. */
export function askedOf(
  { models }: ModelBackend,
  head: RequestHead,
  body: Buffer,
  random: () => number,
): Asked {
  const routeType = models.routeType(head.path)
  if (routeType === 'passthrough')
    throw new GatewayError('route_not_found', `route not found: models are not asked at ${head.path}`)
  if (routeType === 'models') {
    requireMethod('GET', head.method)
    const reader = {
      allows: head.allowsModel,
      isAnthropic: head.headers['anthropic-version'] !== undefined,
    }
    const id = head.path.endsWith('/models') ? undefined : modelIdIn(head.path)
    const text = id === undefined ? modelList(models.list, reader) : oneModel(id, models.listed, reader)
    if (text === undefined) throw unknownModel(id)
    return { reply: { status: 200, headers: { 'content-type': 'application/json' }, body: text } }
  }
  requireMethod('POST', head.method)
  const json = parseBody(body)
  const { model } = json
  if (typeof model !== 'string' || model === '')
    throw new GatewayError(
      'missing_model',
      'failed to process LLM request: missing field: model not specified',
    )
  const choose = models.find(model)
  if (choose === undefined) throw unknownModel(model)
  const variables = () => ({ ...requestVariables(head), llmRequest: json })
  return { tiers: choose({ random, variables }), json }
}
