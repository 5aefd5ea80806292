import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { seeded } from '../store/exchanges.fixture.ts'
import { createSpanEncoder, rejectedSpans } from './otlp-encoding.ts'
import { ProtobufWriter, readProtobuf } from './protobuf-writer.ts'
import type { AttributeValue, SpanRecord } from './span-parts.ts'

const { root } = protobuf.parse(
  `syntax = "proto3";
  message Numbers { repeated int64 whole = 1; double real = 2; fixed64 nanos = 3; fixed32 small = 4; string text = 16; bool yes = 5; bytes id = 6; Numbers inner = 2047; }
  message Request { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { repeated Span spans = 2; }
  message Span { string name = 5; repeated KeyValue attributes = 9; Status status = 15; fixed32 flags = 16; }
  message Status { string message = 2; int32 code = 3; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { oneof value {
    string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; ArrayValue array_value = 5;
  } }
  message ArrayValue { repeated AnyValue values = 1; }`,
)
const NUMBERS = root.lookupType('Numbers')
const REQUEST = root.lookupType('Request')

const written = (write: (writer: ProtobufWriter) => void) => {
  const writer = new ProtobufWriter(16)
  write(writer)
  return NUMBERS.toObject(NUMBERS.decode(writer.since(0)), { longs: String, bytes: String })
}

describe('the wire format, as another implementation reads it', () => {
  const WHOLE = [
    0,
    1,
    127,
    128,
    16_383,
    16_384,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
    -1,
    -(2 ** 53) + 1,
  ]
  test.each(WHOLE)('%d', (value) => {
    expect(written((writer) => writer.int(1, value))).toEqual({ whole: [String(value)] })
  })

  test.each([
    [0, 0],
    [0, 999_999_999],
    [4, 294_967_295],
    [4, 294_967_296],
    [65_535, 1],
    [65_536, 999_999_999],
    [1_795_700_000, 123_456_789],
    [4_294_967_296, 5],
  ] as const)('%d s and %d ns', (seconds, nanos) => {
    const value = BigInt(seconds) * 1_000_000_000n + BigInt(nanos)
    expect(written((writer) => writer.fixedNanos(3, [seconds, nanos]))).toEqual({ nanos: String(value) })
  })

  test.each([0, 1, 41, 42, 43, 127, 128, 16_383, 16_384, 100_000])('a text of %d characters', (length) => {
    for (const character of ['a', 'ü', '漢', '\0'])
      expect(written((writer) => writer.text(16, character.repeat(length)))).toEqual({
        text: character.repeat(length),
      })
  })

  test('half a character is told as one that cannot be read', () => {
    expect(written((writer) => writer.text(16, 'a\ud800b'))).toEqual({ text: 'a\ufffdb' })
  })

  test.each([0, 100, 127, 128, 200, 16_383, 20_000, 3_000_000])('nested in nested, %d bytes', (length) => {
    const text = 'x'.repeat(length)
    const both = (writer: ProtobufWriter) => {
      writer.bool(5, true)
      writer.nested(2047, () => {
        writer.nested(2047, () => writer.text(16, text))
        writer.double(2, -0.1)
      })
      writer.fixed32(4, 0x301)
      writer.hex(6, '00ff10')
    }
    expect(written(both)).toEqual({
      yes: true,
      inner: { inner: { text }, real: -0.1 },
      small: 0x301,
      id: 'AP8Q',
    })
  })
})

const SPAN: SpanRecord = {
  name: 'a span',
  kind: 'server',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parentSpanId: undefined,
  startTime: [1, 2],
  endTime: [3, 4],
  attributes: {},
  events: [],
  error: undefined,
}

interface Any {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: string
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values: readonly Any[] }
}

function plain(value: Any): unknown {
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(plain)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.boolValue ?? value.doubleValue
}

function decode(bytes: Uint8Array) {
  const { resourceSpans } = REQUEST.toObject(REQUEST.decode(bytes), { longs: String, arrays: true }) as {
    resourceSpans: {
      resource: { attributes: { key: string; value: Any }[] }
      scopeSpans: { spans: { name: string; attributes: { key: string; value: Any }[]; flags: number }[] }[]
    }[]
  }
  const record = (pairs: { key: string; value: Any }[]) =>
    Object.fromEntries(pairs.map(({ key, value }) => [key, plain(value)]))
  return resourceSpans.map(({ resource, scopeSpans }) => ({
    resource: record(resource.attributes),
    spans: scopeSpans.flatMap(({ spans }) =>
      spans.map(({ name, attributes, flags }) => ({ name, flags, attributes: record(attributes) })),
    ),
  }))
}

const encoder = () => createSpanEncoder({ 'service.name': 'mine' }, { name: 'agentgateway', version: '1' })

test('attributes of every kind and length, many spans in one request', () => {
  const random = seeded(7)
  const size = () => Math.floor(random() ** 4 * 3000)
  const text = () => (random() < 0.5 ? 'a' : 'é').repeat(size())
  const kinds: (() => AttributeValue)[] = [
    text,
    () => random() < 0.5,
    () => Math.floor((random() - 0.5) * 2 ** 53),
    () => Math.floor(random() * 1000),
    () => (random() - 0.5) * 1e6,
    () => Array.from({ length: Math.floor(random() * 20) }, text),
  ]
  const some = () => (kinds[Math.floor(random() * kinds.length)] ?? text)()
  const spans = Array.from({ length: 300 }, (_, index) => ({
    ...SPAN,
    name: `span ${index}`,
    attributes: Object.fromEntries(
      Array.from({ length: Math.floor(random() * 30) }, (_, key) => [`key ${key}`, some()]),
    ),
  }))
  const { encode, request } = encoder()
  const [first] = decode(request(encode(spans, undefined, undefined)))
  expect(first).toEqual({
    resource: { 'service.name': 'mine' },
    spans: spans.map(({ name, attributes }) => ({ name, attributes, flags: 0x101 })),
  })
})

test('what was encoded is not touched by what is encoded later', () => {
  const { encode, request } = encoder()
  const named = (name: string) => [{ ...SPAN, name }]
  const before = encode(named('first'), undefined, undefined)
  for (let count = 0; count < 3; count++) encode(named('x'.repeat(100_000)), undefined, undefined)
  expect(decode(request(before))[0]?.spans[0]?.name).toBe('first')
})

test('a parent in another process is said to be one', () => {
  const { encode, request } = encoder()
  const spans = [
    { ...SPAN, parentSpanId: '00000000000000a1' },
    { ...SPAN, kind: 'client' as const, parentSpanId: SPAN.spanId },
  ]
  const [told] = decode(request(encode(spans, undefined, undefined)))
  expect(told?.spans.map(({ flags }) => flags)).toEqual([0x301, 0x101])
})

test('whatever a collector answers is read without an accident', () => {
  const random = seeded(11)
  for (let count = 0; count < 20_000; count++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 24) }, () => Math.floor(random() * 256))
    expect(rejectedSpans(bytes)).toBeGreaterThanOrEqual(0)
  }
  expect(() => readProtobuf(new Uint8Array(12).fill(255))).toThrow('a number without an end')
  expect(() => readProtobuf(Uint8Array.of(0x12, 0x05, 1))).toThrow('cut short')
})
