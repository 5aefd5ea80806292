import { expect, test } from 'vitest'
import { errorBody } from './error-body.ts'

test.each([
  [400, 'invalid_request_error', 'invalid_request_error'],
  [401, 'authentication_error', 'authentication_error'],
  [403, 'permission_error', 'permission_error'],
  [404, 'invalid_request_error', 'not_found_error'],
  [405, 'invalid_request_error', 'invalid_request_error'],
  [413, 'invalid_request_error', 'request_too_large'],
  [415, 'invalid_request_error', 'invalid_request_error'],
  [429, 'rate_limit_error', 'rate_limit_error'],
  [500, 'server_error', 'api_error'],
  [502, 'server_error', 'api_error'],
  [503, 'server_error', 'overloaded_error'],
  [504, 'server_error', 'timeout_error'],
  [529, 'server_error', 'overloaded_error'],
])(
  'it says for status %d %s to an OpenAI client and %s to an Anthropic client',
  (status, openAi, anthropic) => {
    for (const format of ['completions', 'responses', 'embeddings'] as const) {
      expect(errorBody(format, status, 'why', 'a_code')).toEqual({
        error: { message: 'why', type: openAi, param: null, code: 'a_code' },
      })
    }
    expect(errorBody('messages', status, 'why', 'a_code')).toEqual({
      type: 'error',
      error: { type: anthropic, message: 'why' },
    })
  },
)

test("it tells Anthropic's SDK that threads are not kept here, in the words that it knows", () => {
  expect(errorBody('messages', 400, 'why', 'thread_unsupported_request')).toEqual({
    type: 'error',
    error: {
      type: 'invalid_request_error',
      message: 'why',
      details: { error_code: 'thread_unsupported_request', unsupported: ['thread'] },
    },
  })
})
