import { expect, test } from 'vitest'
import { argumentsOf, fieldsOf, initialValues, valuesFrom } from './tool-form.ts'

const field = (property: unknown, required: readonly string[] = []) =>
  fieldsOf({ type: 'object', properties: { x: property }, required })[0]

test.each([
  ['string', { type: 'string' }, 'text'],
  ['number', { type: 'number' }, 'number'],
  ['integer', { type: 'integer' }, 'integer'],
  ['boolean', { type: 'boolean' }, 'boolean'],
  ['array', { type: 'array', items: {} }, 'json'],
  ['object', { type: 'object' }, 'json'],
  ['enum', { type: 'string', enum: ['a'] }, 'choice'],
  ['const', { const: 5 }, 'choice'],
  ['string or null', { type: ['string', 'null'] }, 'text'],
  ['anyOf with null', { anyOf: [{ type: 'integer' }, { type: 'null' }] }, 'integer'],
  ['anyOf of two', { anyOf: [{ type: 'integer' }, { type: 'string' }] }, 'json'],
  ['reference', { $ref: '#/$defs/x' }, 'json'],
  ['property that is no object', true, 'json'],
])('makes a field of a %s', (_, property, kind) => {
  expect(field(property)?.kind).toBe(kind)
})

test('marks what is required and begins with the default', () => {
  expect(field({ type: 'number', default: 10, description: 'How many' }, ['x'])).toMatchObject({
    isRequired: true,
    initial: '10',
    description: 'How many',
  })
})

test.each([{}, { type: 'object' }, { properties: null }, { properties: [] }])(
  'makes no field of %j',
  (schema) => {
    expect(fieldsOf(schema)).toEqual([])
  },
)

test.each([
  ['a text as it is', { type: 'string' }, ' a ', ' a '],
  ['a text that looks like a number', { type: 'string' }, '5', '5'],
  ['a number', { type: 'number' }, '1.5', 1.5],
  ['a whole number', { type: 'integer' }, '-3', -3],
  ['a boolean', { type: 'boolean' }, 'false', false],
  ['a choice of a text', { enum: ['a', 1] }, '"a"', 'a'],
  ['a choice of a number', { enum: ['a', 1] }, '1', 1],
  ['JSON', { type: 'array' }, '[1, {"a": null}]', [1, { a: null }]],
])('sends %s', (_, property, text, value) => {
  const fields = fieldsOf({ properties: { x: property } })
  expect(argumentsOf(fields, { x: text })).toEqual({ ok: true, arguments: { x: value } })
})

test.each([
  ['a number', { type: 'number' }, 'many', 'Not a number.'],
  ['an endless number', { type: 'number' }, '1e999', 'Not a number.'],
  ['a whole number', { type: 'integer' }, '1.5', 'Not a whole number.'],
  ['JSON', { type: 'object' }, '{a: 1}', 'Not JSON.'],
])('refuses what is not %s', (_, property, text, problem) => {
  const fields = fieldsOf({ properties: { x: property } })
  expect(argumentsOf(fields, { x: text })).toEqual({ ok: false, problems: { x: problem } })
})

test('leaves out what is empty, and asks for what is required', () => {
  const fields = fieldsOf({
    properties: { a: { type: 'string' }, b: { type: 'string' }, c: { type: 'number' } },
    required: ['b', 'c'],
  })
  expect(argumentsOf(fields, { b: 'x', c: '1' })).toEqual({ ok: true, arguments: { b: 'x', c: 1 } })
  expect(argumentsOf(fields, {})).toEqual({ ok: false, problems: { b: 'Required.', c: 'Required.' } })
})

test('fills the form from JSON and back', () => {
  const fields = fieldsOf({
    properties: { a: { type: 'string' }, b: { type: 'array' }, c: { enum: [1, 2], default: 2 } },
  })
  const given = { a: 'x', b: [1] }
  expect(argumentsOf(fields, valuesFrom(fields, given))).toEqual({ ok: true, arguments: given })
  expect(initialValues(fields)).toEqual({ a: '', b: '', c: '2' })
})
