/** What every candidate is asked: one chat completion, about 1 KB in and 1 KB out, or as an event stream. */
import type { Address } from './connection.ts'

export const CHAT = '/chat/completions'
export const REQUEST_HEADERS = {
  'content-type': 'application/json',
  authorization: 'Bearer sk-benchmark',
} as const

/** Where a candidate takes chat completions. */
export interface Site extends Address {
  /** Before `/chat/completions`. */
  readonly base: string
  /** The route of ours that is meant, where there are several: sent as `x-route`. */
  readonly route?: string
}

const SENTENCE = 'You are a helpful assistant that answers in short, plain sentences. '

const bodyOf = (system: string, more: object) =>
  JSON.stringify({
    model: 'gpt-4o-mini',
    messages: [
      { role: 'system', content: system },
      { role: 'user', content: 'What is the capital of France?' },
    ],
    ...more,
  })

export const JSON_BODY = bodyOf(SENTENCE.repeat(12), {})
const STREAM_BODY = bodyOf(SENTENCE.repeat(12), { stream: true, stream_options: { include_usage: true } })
/** With line ends, quotes and letters beyond ASCII, as documents have them. */
const LARGE_LINE = `${SENTENCE.repeat(2)}\n"Où est la bibliothèque ?"\n`
export const LARGE_BYTES = 1_000_000

/** IPv6 addresses stand in brackets: RFC 3986 section 3.2.2. */
const authority = ({ host, port }: Address) => `${host.includes(':') ? `[${host}]` : host}:${port}`

export const chatUrl = (site: Site) => `http://${authority(site)}${site.base}${CHAT}`

function bytesOf(site: Site, body: string): Buffer {
  const { base, route } = site
  const headers = {
    host: authority(site),
    ...REQUEST_HEADERS,
    ...(route !== undefined && { 'x-route': route }),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(
    `POST ${base}${CHAT} HTTP/1.1\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

export const jsonRequest = (site: Site) => bytesOf(site, JSON_BODY)
export const streamRequest = (site: Site) => bytesOf(site, STREAM_BODY)
export const largeRequest = (site: Site) =>
  bytesOf(
    site,
    bodyOf(LARGE_LINE.repeat(Math.ceil(LARGE_BYTES / Buffer.byteLength(JSON.stringify(LARGE_LINE)))), {}),
  )
