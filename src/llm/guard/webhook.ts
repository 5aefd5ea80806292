/**
 * Upstream's guardrail webhook API: messages or choices there, what becomes of them back.
 *
 * Its three actions bear no name and are told apart by their `body`. What is none of them is no verdict, never a pass.
 */
import { z } from 'zod'
import { compileHeaders } from '../../core/header-expressions.ts'
import type { Headers } from '../../core/headers.ts'
import { isHopByHop } from '../../core/headers.ts'
import { NOTED_NAMES } from '../../core/request-names.ts'
import { compilePattern } from './pattern.ts'
import type { WebhookConfig } from './schema.ts'
import type { Question, Verdict, Wire } from './service.ts'

const said = z.object({ content: z.string() })
const reject = z.object({ body: z.string(), status_code: z.int() })
const maskedMessages = z.object({ body: z.object({ messages: z.array(said) }) })
const maskedChoices = z.object({ body: z.object({ choices: z.array(z.object({ message: said })) }) })
/** A status is a rejection's: without its text it is none, and no pass either. */
const pass = z
  .object({ body: z.null().optional(), status_code: z.null().optional() })
  .transform(() => ({ body: null }))

const requestAnswer = z.object({ action: z.union([reject, maskedMessages, pass]) })
const responseAnswer = z.object({ action: z.union([reject, maskedChoices, pass]) })

const isErrorStatus = (status: number) => status >= 400 && status <= 599

function masked(contents: readonly { readonly content: string }[], { texts }: Question): Verdict {
  if (contents.length !== texts.length) throw new Error('another number of texts')
  return { action: 'mask', texts: contents.map(({ content }) => content) }
}

function read(answer: unknown, question: Question): Verdict {
  const { action } = (question.phase === 'request' ? requestAnswer : responseAnswer).parse(answer)
  if ('status_code' in action) {
    const { body, status_code } = action
    return { action: 'reject', body, ...(isErrorStatus(status_code) && { status: status_code }) }
  }
  if (action.body === null) return { action: 'pass' }
  if ('messages' in action.body) return masked(action.body.messages, question)
  return masked(
    action.body.choices.map(({ message }) => message),
    question,
  )
}

function write({ phase, texts }: Question): unknown {
  if (phase === 'request') return { body: { messages: texts } }
  return { body: { choices: texts.map((message) => ({ message })) } }
}

type Match = NonNullable<WebhookConfig['forwardHeaderMatches']>[number]

function valueTest({ value }: Match): (value: string) => boolean {
  if ('exact' in value) return (text) => text === value.exact
  const pattern = compilePattern(value.regex)
  return (text) => pattern.matches(text)
}

/** All values of a header of which one fits; what is the connection's or the message's own stays. */
function matchedBy(matches: readonly Match[]): (headers: Readonly<Headers>) => Headers {
  const tests = matches
    .map((match) => ({ name: match.name.toLowerCase(), fits: valueTest(match) }))
    .filter(({ name }) => !isHopByHop(name))
  return (headers) => {
    const shown: Headers = {}
    for (const { name, fits } of tests) {
      const value = headers[name]
      if (value !== undefined && [value].flat().some(fits)) shown[name] = value
    }
    return shown
  }
}

/** An expression without a value takes the client's header away: it would pass for what the gateway says. */
function shownBy({ forwardHeaderMatches = [], headers: expressions }: WebhookConfig): Wire['shown'] {
  const matched = matchedBy(forwardHeaderMatches)
  if (expressions === undefined) return ({ headers }) => matched(headers)
  const said = compileHeaders(expressions, NOTED_NAMES)
  return ({ headers, variables }) => {
    const shown = matched(headers)
    for (const [name, value] of said(variables())) {
      if (value === undefined) delete shown[name]
      else shown[name] = value
    }
    return shown
  }
}

export const webhookWire = (config: WebhookConfig): Wire => ({
  path: (phase) => `/${phase}`,
  write,
  read,
  shown: shownBy(config),
})
