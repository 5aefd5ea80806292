/**
 * The one request that the doctor sends, and what its answer says of the two who answer: the gateway, by handing back
 * our trace id, and behind it the provider.
 */
import { z } from 'zod'
import { FAULTS, type FaultCode } from '../core/errors.ts'
import { formatTraceparent, newSpanId, newTraceId } from '../core/trace-context.ts'
import { seconds } from './clean.ts'
import { addressOf, type Examination, TLS_ADVICE } from './examination.ts'
import { failed, ok, skipped, type Verdict } from './hops.ts'
import { type Answer, type Fault, isFault, parsed, under } from './http.ts'

const MAX_TOKENS = 16
const PROMPT = [{ role: 'user', content: 'Say hello.' }]

interface Api {
  readonly name: 'OpenAI' | 'Anthropic'
  readonly path: string
  readonly variable: string
  readonly key: string | undefined
  /** A key of characters that no header may have is not sent. */
  readonly hasOddKey: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

function apiOf({ model, keys }: Examination): Api {
  const isAnthropic =
    model === undefined
      ? keys.anthropic !== undefined && keys.openAI === undefined
      : model.startsWith('claude')
  const given = isAnthropic ? keys.anthropic : keys.openAI
  const hasOddKey = given !== undefined && !/^[\x21-\x7e]+$/.test(given)
  const key = hasOddKey ? undefined : given
  if (isAnthropic)
    return {
      name: 'Anthropic',
      path: '/v1/messages',
      variable: 'ANTHROPIC_API_KEY',
      key,
      hasOddKey,
      headers: { 'anthropic-version': '2023-06-01', ...(key && { 'x-api-key': key }) },
      body: JSON.stringify({
        model: model ?? 'claude-haiku-4-5',
        max_tokens: MAX_TOKENS,
        messages: PROMPT,
      }),
    }
  return {
    name: 'OpenAI',
    path: '/v1/chat/completions',
    variable: 'OPENAI_API_KEY',
    key,
    hasOddKey,
    headers: { ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({
      model: model ?? 'gpt-4o-mini',
      // Reasoning models refuse the older `max_tokens`.
      max_completion_tokens: MAX_TOKENS,
      messages: PROMPT,
    }),
  }
}

/** Sends the marked request. */
export async function gatewayHop(examination: Examination, signal: AbortSignal): Promise<Verdict> {
  const { addresses, http, now, seen, traceId, userAgent } = examination
  const api = apiOf(examination)
  const url = under(addresses.gateway, api.path)
  const reply = await http.ask(url, {
    signal,
    headers: {
      ...api.headers,
      traceparent: formatTraceparent(traceId, newSpanId(), true),
      'user-agent': userAgent,
    },
    body: api.body,
  })
  if (isFault(reply))
    return reply.fault === 'silent' ? whoIsSilent(examination, url, reply) : unreached(reply)
  const verdict = recognise(examination, reply, traceId)
  if (verdict.status === 'ok') {
    seen.answer = reply
    seen.markedAt = now()
  }
  return verdict
}

function recognise(examination: Examination, { headers, status, text }: Answer, traceId: string): Verdict {
  const { clean } = examination
  const found = headers['x-trace-id']
  if (found === traceId)
    return ok(`${addressOf(examination, 'gateway')} answered, and continued our trace ${traceId}`)
  if (typeof found === 'string')
    return failed(
      `a gateway answered under another trace (x-trace-id ${clean(found)})`,
      'something on the way removes or replaces `traceparent`: ask the gateway itself (--gateway URL)',
    )
  const server = headers.server ?? headers['x-powered-by']
  const by = server === undefined ? '' : ` (${clean(String(server))})`
  return failed(
    `another program has the port${by}: it answered ${status}, without x-trace-id: ${clean(text)}`,
    'stop that program or give the gateway another port (`binds[].port`), then --gateway URL; `lsof -i :PORT` shows who it is',
  )
}

const WHERE_IS_IT =
  'start it (`agentgateway -f FILE`), see `docker-compose ps agentgateway` and `docker-compose logs agentgateway`, or say with --gateway where it is'

function unreached({ fault, why }: Fault): Verdict {
  if (fault === 'certificate' || fault === 'no-tls') return failed(why, TLS_ADVICE[fault])
  if (fault === 'not-http' || fault === 'dropped')
    return failed(why, `if it serves TLS, write the address with https://; otherwise ${WHERE_IS_IT}`)
  return failed(why, WHERE_IS_IT)
}

const LONGEST_SECOND_TRY_MS = 5000

/**
 * The gateway answers when the provider has, so silence can be the fault of either. A request without a body is one
 * that it refuses by itself.
 */
async function whoIsSilent(examination: Examination, url: string, silence: Fault): Promise<Verdict> {
  const { http, now, seen, timeoutMs, userAgent } = examination
  const traceId = newTraceId()
  const markedAt = now()
  const second = await http.ask(url, {
    signal: AbortSignal.timeout(Math.min(timeoutMs, LONGEST_SECOND_TRY_MS)),
    headers: { traceparent: formatTraceparent(traceId, newSpanId(), false), 'user-agent': userAgent },
    body: '',
  })
  if (isFault(second) || recognise(examination, second, traceId).status !== 'ok')
    return failed(
      `${addressOf(examination, 'gateway')} takes the connection and does not answer within ${seconds(timeoutMs)}`,
      'see `docker-compose logs agentgateway`; or is it another program?',
    )
  seen.answer = silence
  seen.markedAt = markedAt
  return ok(`${addressOf(examination, 'gateway')} answers (a second, empty request; the marked one waits)`)
}

const replySchema = z.object({
  model: z.string(),
  usage: z
    .object({
      prompt_tokens: z.number().optional(),
      completion_tokens: z.number().optional(),
      input_tokens: z.number().optional(),
      output_tokens: z.number().optional(),
    })
    .optional(),
})

const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    code: z.union([z.string(), z.number()]).nullish(),
    type: z.string().nullish(),
  }),
})

export function providerHop(examination: Examination): Verdict {
  const { clean, seen, timeoutMs, traceId } = examination
  const { answer } = seen
  if (answer === undefined) return skipped('cannot be told: the request did not get to the gateway')
  if (isFault(answer) || answer.brokenOff?.fault === 'silent')
    return failed(
      `no whole answer within ${seconds(timeoutMs)}`,
      `the provider is slow, or the gateway cannot reach it: look for ${traceId} in its log, or wait longer (--timeout SECONDS)`,
    )
  const { status, text, brokenOff } = answer
  if (brokenOff !== undefined)
    return failed(`its answer broke off (${brokenOff.why})`, `look for ${traceId} in the gateway's log`)
  if (status < 200 || status > 299) return refusal(examination, answer)
  const read = replySchema.safeParse(parsed(text))
  if (!read.success)
    return failed(
      `it answered ${status} with something else than a completion: ${clean(text)}`,
      'see where the gateway sends this route (`hostOverride`, `provider`)',
    )
  const { model, usage = {} } = read.data
  const input = usage.prompt_tokens ?? usage.input_tokens
  const output = usage.completion_tokens ?? usage.output_tokens
  const tokens =
    input === undefined || output === undefined ? '' : `, ${input} tokens read, ${output} written`
  return ok(`${status}: ${clean(model)}${tokens}`)
}

function refusal(examination: Examination, { status, text }: Answer): Verdict {
  const { clean } = examination
  const api = apiOf(examination)
  const read = errorSchema.safeParse(parsed(text))
  const { message, code } = read.success ? read.data.error : { message: text, code: undefined }
  const detail = `${status}: ${clean(message) || 'no text'}`
  if (status === 401 || status === 403) return keyProblem(api, status, detail)
  if (status === 404 && (code === 'route_not_found' || code === 'listener_not_found' || !read.success))
    return failed(
      `the gateway has no route for POST ${api.path} (${detail})`,
      'add one to its configuration: `binds[].listeners[].routes`, on an AI backend',
    )
  if (status === 404)
    return failed(detail, `does ${api.name} have this model, and your key access to it? Try --model NAME`)
  if (status === 429)
    return failed(
      detail,
      code === 'insufficient_quota'
        ? `the account has no credit left: see its billing page at ${api.name}`
        : 'the provider, or a limit of the gateway, wants fewer requests: try again later',
    )
  const fault = typeof code === 'string' && isFaultCode(code) ? code : undefined
  return failed(
    detail,
    status >= 500 ? serverAdvice(fault, api) : 'the request was not accepted: see the text',
  )
}

function keyProblem({ name, variable, key, hasOddKey }: Api, status: number, detail: string): Verdict {
  if (hasOddKey)
    return failed(
      `${variable} has characters that no key has, and was not sent`,
      `export ${variable}=… again`,
    )
  if (key === undefined)
    return failed(
      `no ${variable} in the environment: the provider answered ${status}`,
      `export ${variable}=… and run the doctor again; or let the gateway add a key (\`policies.backendAuth\`), and if it does, see that it is the right one`,
    )
  return failed(
    `${name} refuses the key (${detail})`,
    `see that ${variable} holds a valid key of ${name}; if the gateway adds its own (\`policies.backendAuth\`), it is that one`,
  )
}

const isFaultCode = (code: string): code is FaultCode => Object.hasOwn(FAULTS, code)

function serverAdvice(code: FaultCode | undefined, { name }: Api): string {
  switch (code) {
    case undefined:
      return `${name} has a problem of its own, or the gateway cannot reach it: see the text, and try again later`
    case 'upstream_connect':
    case 'connect_timeout':
      return 'the gateway cannot connect to the provider: from where it runs, check DNS, firewall and `hostOverride`'
    case 'upstream_timeout':
    case 'idle_timeout':
    case 'request_timeout':
      return 'the provider did not answer within the limits in the configuration (`policies.timeout`)'
    case 'no_backend':
      return 'the route has no backend with a weight above 0'
    case 'upstream_reset':
    case 'upstream_bad_response':
    case 'upstream_too_large':
      return 'what answered the gateway is no working provider: see `hostOverride` and proxies on the way'
    default:
      return 'see the log of the gateway: `docker-compose logs agentgateway`'
  }
}
