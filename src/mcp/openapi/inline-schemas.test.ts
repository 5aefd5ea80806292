import { describe, expect, test } from 'vitest'
import { openApiCatalog } from './catalog.ts'
import { isObject } from './json.ts'
import { documentOf } from './petstore.fixture.ts'

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

function inputOf(schema: unknown, schemas: object = {}) {
  const content = { 'application/json': { schema } }
  const text = documentOf(
    { '/': { post: { operationId: 'a', requestBody: { content } } } },
    { components: { schemas } },
  )
  const [tool] = openApiCatalog(text).tools
  const properties = tool?.inputSchema.properties
  return { body: isObject(properties) ? properties.body : undefined, $defs: tool?.inputSchema.$defs }
}

describe('a schema', () => {
  test.each<{ name: string; schema: unknown; schemas?: object; body: unknown }>([
    { name: 'it is anything when there is none', schema: undefined, body: {} },
    { name: 'it may be a boolean', schema: true, body: true },
    {
      name: 'it stays as it is in 3.1',
      schema: { type: ['string', 'null'], exclusiveMinimum: 3, examples: ['x'], const: { $ref: 'data' } },
      body: { type: ['string', 'null'], examples: ['x'], const: { $ref: 'data' }, exclusiveMinimum: 3 },
    },
    {
      name: 'it is inlined through references to references',
      schema: ref('A'),
      schemas: { A: ref('B'), B: { type: 'array', items: ref('C') }, C: { type: 'string' } },
      body: { type: 'array', items: { type: 'string' } },
    },
    {
      name: 'it is inlined wherever a schema can stand',
      schema: {
        properties: { $ref: ref('A'), example: ref('A'), nullable: ref('A') },
        patternProperties: { '^x': ref('A') },
        additionalProperties: ref('A'),
        prefixItems: [ref('A')],
        not: ref('A'),
        allOf: [ref('A'), { oneOf: [ref('A')] }],
        default: ref('data'),
      },
      schemas: { A: { type: 'string' } },
      body: {
        properties: {
          $ref: { type: 'string' },
          example: { type: 'string' },
          nullable: { type: 'string' },
        },
        patternProperties: { '^x': { type: 'string' } },
        additionalProperties: { type: 'string' },
        prefixItems: [{ type: 'string' }],
        not: { type: 'string' },
        allOf: [{ type: 'string' }, { oneOf: [{ type: 'string' }] }],
        default: ref('data'),
      },
    },
    {
      name: 'it keeps what is said beside a reference',
      schema: { ...ref('A'), description: 'mine', default: 'x' },
      schemas: { A: { type: 'string', description: 'theirs' } },
      body: { type: 'string', description: 'mine', default: 'x' },
    },
    {
      name: 'it is narrowed by what stands beside a reference',
      schema: { ...ref('A'), maxLength: 3 },
      schemas: { A: { type: 'string', maxLength: 9 } },
      body: { maxLength: 3, allOf: [{ type: 'string', maxLength: 9 }] },
    },
    {
      name: 'it is found by an escaped pointer',
      schema: { $ref: '#/components/schemas/a~1b%20c/properties/0' },
      schemas: { 'a/b c': { properties: [{ type: 'string' }] } },
      body: { type: 'string' },
    },
    {
      name: 'it loses what only concerns the document',
      schema: {
        $id: 'x',
        $schema: 'y',
        $defs: { A: ref('nowhere') },
        discriminator: { propertyName: 'kind' },
        xml: {},
        externalDocs: {},
        'x-internal': ref('nowhere'),
        type: 'object',
      },
      body: { type: 'object' },
    },
    {
      name: 'it is translated from 3.0',
      schema: { type: 'integer', nullable: true, enum: [1], minimum: 0, exclusiveMinimum: true, example: 1 },
      body: { type: ['integer', 'null'], enum: [1, null], exclusiveMinimum: 0, examples: [1] },
    },
    {
      name: 'it is translated from 3.0 where nothing is to be widened',
      schema: { nullable: true, maximum: 9, exclusiveMaximum: false, required: true },
      body: { maximum: 9 },
    },
    {
      name: 'it does not ask for what only replies have',
      schema: { properties: { id: { readOnly: true } }, required: ['id'] },
      body: { properties: { id: { readOnly: true } } },
    },
    { name: 'it is anything where its place is empty', schema: { items: null }, body: { items: {} } },
    {
      name: 'it may have a property of any name',
      schema: JSON.parse('{"properties":{"__proto__":{"type":"string"},"constructor":{}}}'),
      body: JSON.parse('{"properties":{"__proto__":{"type":"string"},"constructor":{}}}'),
    },
  ])('$name', ({ schema, schemas, body }) => {
    const input = inputOf(schema, schemas)
    expect(JSON.stringify(input.body)).toBe(JSON.stringify(body))
    expect(input.$defs).toBeUndefined()
  })

  test.each([
    {
      name: 'a reference to a file',
      schema: { $ref: 'pet.yaml' },
      message: /schema: `\$ref: pet.yaml` is not supp/,
    },
    {
      name: 'a local definition',
      schema: { items: { $ref: '#/$defs/A' } },
      message: /schema\/items: .*is not supp/,
    },
    { name: 'a dynamic reference', schema: { $dynamicRef: '#node' }, message: /dynamic references/ },
    { name: 'a reference that is no text', schema: { $ref: 1 }, message: /`\$ref` has to be text/ },
    { name: 'a broken reference', schema: { $ref: '#/components/%zz' }, message: /percent-encoding/ },
    {
      name: 'no object',
      schema: { items: 'string' },
      message: /schema\/items: a schema has to be an object/,
    },
    { name: 'a reference to itself', schema: ref('A'), message: /leads back to itself/ },
  ])('it is refused: $name', ({ schema, message }) => {
    expect(() => inputOf(schema, { A: ref('B'), B: ref('A') })).toThrow(message)
  })
})

describe('a recursive schema', () => {
  test('it refers to a definition of the tool', () => {
    const node = (next: object) => ({ type: 'object', properties: { next } })
    expect(inputOf(ref('Node'), { Node: node(ref('Node')) })).toEqual({
      body: node({ $ref: '#/$defs/Node' }),
      $defs: { Node: node({ $ref: '#/$defs/Node' }) },
    })
  })

  test('it keeps definitions of the same name apart', () => {
    const list = { type: 'array', items: { $ref: '#/components/schemas/A/x/A' }, x: {} }
    const a = { ...list, x: { A: { not: { $ref: '#/components/schemas/A/x/A' } } } }
    const { $defs } = inputOf(
      { allOf: [{ $ref: '#/components/schemas/B' }, { $ref: '#/components/schemas/A/x/A' }] },
      {
        A: a,
        B: {
          not: { $ref: '#/components/schemas/B/x/A' },
          x: { A: { not: { $ref: '#/components/schemas/B/x/A' } } },
        },
      },
    )
    expect($defs).toEqual({ A: { not: { $ref: '#/$defs/A' } }, A_2: { not: { $ref: '#/$defs/A_2' } } })
  })

  test.each<{ name: string; schemas: object; first: string }>([
    {
      name: 'it does not explode when each of many refers to all',
      first: 'N0',
      schemas: Object.fromEntries(
        Array.from({ length: 40 }, (_, i) => [
          `N${i}`,
          { properties: Object.fromEntries(Array.from({ length: 40 }, (_, j) => [`p${j}`, ref(`N${j}`)])) },
        ]),
      ),
    },
    {
      name: 'it does not explode when each uses the next one twice',
      first: 'N0',
      schemas: Object.fromEntries(
        Array.from({ length: 60 }, (_, i) => [
          `N${i}`,
          i === 59 ? {} : { allOf: [ref(`N${i + 1}`), ref(`N${i + 1}`)] },
        ]),
      ),
    },
    {
      name: 'it does not overflow the stack when each uses the next one',
      first: 'N0',
      schemas: Object.fromEntries(
        Array.from({ length: 20_000 }, (_, i) => [
          `N${i}`,
          i === 19_999 ? {} : { properties: { a: { properties: { b: ref(`N${i + 1}`) } } } },
        ]),
      ),
    },
  ])('$name', ({ schemas, first }) => {
    const startedAt = performance.now()
    const { body, $defs } = inputOf(ref(first), schemas)
    expect(body).toEqual({ $ref: `#/$defs/${first}` })
    expect(Object.keys(isObject($defs) ? $defs : {})).toHaveLength(Object.keys(schemas).length)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  test('it may be as deep as the document may', () => {
    let schema: object = { type: 'string' }
    for (let depth = 0; depth < 115; depth += 1) schema = { properties: { a: schema } }
    expect(inputOf(schema).body).toEqual(schema)
    for (let depth = 0; depth < 10; depth += 1) schema = { items: schema }
    expect(inputOf(schema).body).toEqual(schema)
  })
})
