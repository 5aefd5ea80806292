/** What the gateway says of the protocol by itself, against what the official SDK says. */
import * as sdk from '@modelcontextprotocol/client'
import { expect, expectTypeOf, test } from 'vitest'
import { RPC_ERRORS, type RpcNotification, type RpcRequest } from './json-rpc.ts'
import { decodeName, encodeName, isModern, META, MODERN_VERSION, needsName } from './modern-wire.ts'
import { LATEST_LEGACY, LEGACY_VERSIONS } from './versions.ts'

test('it knows the revisions that the SDK knows', () => {
  // The oldest of the SDK's was never published as a revision.
  const known = sdk.SUPPORTED_PROTOCOL_VERSIONS.filter((version) => version !== '2024-10-07')
  expect([...LEGACY_VERSIONS].sort()).toEqual(known.toSorted())
  expect(LATEST_LEGACY).toBe(sdk.LATEST_PROTOCOL_VERSION)
})

test('its messages are messages to the SDK', () => {
  expectTypeOf<RpcRequest>().toExtend<sdk.JSONRPCRequest>()
  expectTypeOf<RpcNotification>().toExtend<sdk.JSONRPCNotification>()
  const request: RpcRequest = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'x', _meta: {} },
  }
  expect(sdk.isJSONRPCRequest(request)).toBe(true)
})

test('it names the members of `_meta` as the SDK does', () => {
  expect(META).toEqual({
    version: sdk.PROTOCOL_VERSION_META_KEY,
    clientInfo: sdk.CLIENT_INFO_META_KEY,
    capabilities: sdk.CLIENT_CAPABILITIES_META_KEY,
    logLevel: sdk.LOG_LEVEL_META_KEY,
    subscription: sdk.SUBSCRIPTION_ID_META_KEY,
    serverInfo: sdk.SERVER_INFO_META_KEY,
  })
})

test("its error codes are the SDK's", () => {
  expect(RPC_ERRORS.parse).toBe(sdk.ProtocolErrorCode.ParseError)
  expect(RPC_ERRORS.invalidRequest).toBe(sdk.ProtocolErrorCode.InvalidRequest)
  expect(RPC_ERRORS.methodNotFound).toBe(sdk.ProtocolErrorCode.MethodNotFound)
  expect(RPC_ERRORS.invalidParams).toBe(sdk.ProtocolErrorCode.InvalidParams)
  expect(RPC_ERRORS.internal).toBe(sdk.ProtocolErrorCode.InternalError)
  expect(RPC_ERRORS.unsupportedVersion).toBe(sdk.ProtocolErrorCode.UnsupportedProtocolVersion)
})

test.each([
  ['2025-11-25', false],
  [MODERN_VERSION, true],
  ['2027-01-01', true],
  ['latest', false],
  ['', false],
])('%s has no sessions: %s', (version, expected) => {
  expect(isModern(version)).toBe(expected)
})

test.each(['plain', 'mit Leerzeichen', 'é', '=?base64?eA==?=', ' edge ', '日本', 'file:///a b'])(
  'the name %s survives a header',
  (name) => {
    const header = encodeName(name)
    expect(header).toMatch(/^[\x20-\x7e]+$/)
    expect(decodeName(header)).toBe(name)
  },
)

test('a name that claims to be wrapped and is not has no meaning', () => {
  expect(decodeName('=?base64?***?=')).toBeUndefined()
})

test('tools, prompts, resources and tasks are named in the head', () => {
  expect(['tools/call', 'prompts/get', 'resources/read', 'tasks/get'].every(needsName)).toBe(true)
  expect(['tools/list', 'ping', '__proto__'].some(needsName)).toBe(false)
})
