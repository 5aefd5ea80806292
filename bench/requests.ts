/** What every candidate is asked: one chat completion, about 1 KB in and 1 KB out. */
export const PATH = '/v1/chat/completions'
export const REQUEST_HEADERS = {
  'content-type': 'application/json',
  authorization: 'Bearer sk-benchmark',
} as const

const SYSTEM = 'You are a helpful assistant that answers in short, plain sentences. '.repeat(12)

const bodyOf = (more: object) =>
  JSON.stringify({
    model: 'gpt-4o-mini',
    messages: [
      { role: 'system', content: SYSTEM },
      { role: 'user', content: 'What is the capital of France?' },
    ],
    ...more,
  })

export const JSON_BODY = bodyOf({})

function bytesOf(body: string): Buffer {
  const headers = Object.entries(REQUEST_HEADERS).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(
    `POST ${PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

export const JSON_REQUEST = bytesOf(JSON_BODY)
export const STREAM_REQUEST = bytesOf(bodyOf({ stream: true, stream_options: { include_usage: true } }))

/** Bytes of text in the provider's whole answers. */
export const ANSWER_TEXT_BYTES = 380
