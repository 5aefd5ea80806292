/** What clients of the API ask by: strict, as an unknown filter that was ignored would show too much. */
import { z } from 'zod'
import type { Filters, GroupField, SummaryFilters, TimeRange } from '../store/types.ts'
import { ApiError } from './http.ts'

const time = z.iso.datetime({ offset: true, error: 'expected a time such as 2026-01-31T12:00:00Z' })
/** More values than anybody chooses, and fewer than a statement may have. */
const MAX_VALUES = 1000
/** PostgreSQL has no text with the character 0. */
const text = z
  .string()
  .refine((value) => !value.includes('\0'), { error: 'a text may not hold the character 0' })
const texts = z.array(text).max(MAX_VALUES)
const status = z.int().min(0).max(999)

export const timeRangeSchema = z.strictObject({ from: time.optional(), to: time.optional() })

/** Attributes by which requests can be found, and the fields that hold them. */
const ATTRIBUTES = {
  'agentgateway.user': 'user',
  'agentgateway.group': 'group',
  'agentgateway.key': 'key',
  'user_agent.name': 'userAgentName',
} as const
type AttributeName = keyof typeof ATTRIBUTES
const isAttribute = (name: string): name is AttributeName => Object.hasOwn(ATTRIBUTES, name)
const UNKNOWN_ATTRIBUTE = `expected one of ${Object.keys(ATTRIBUTES).join(', ')}`

const summaryShape = {
  httpStatus: z.array(status).max(MAX_VALUES).optional(),
  provider: texts.optional(),
  requestModel: texts.optional(),
  responseModel: texts.optional(),
  protocol: texts.optional(),
  outcome: texts.optional(),
  errorType: texts.optional(),
  backend: texts.optional(),
  route: texts.optional(),
  target: texts.optional(),
  operation: texts.optional(),
  failed: z.boolean().optional(),
  attributes: z
    .partialRecord(
      z.enum(Object.keys(ATTRIBUTES) as AttributeName[], { error: UNKNOWN_ATTRIBUTE }),
      // One value, or several.
      z.preprocess((value) => [value].flat(), texts),
    )
    .optional(),
}
const searchShape = {
  ...summaryShape,
  traceId: text.optional(),
  hasPayload: z.boolean().optional(),
  minDurationMs: z.number().nonnegative().optional(),
  maxDurationMs: z.number().nonnegative().optional(),
  text: text.max(500).optional(),
}
const filtersSchema = z.strictObject(searchShape)
const summaryFiltersSchema = z.strictObject(summaryShape)

export const searchSchema = z.strictObject({
  limit: z.int().min(1).max(500).optional(),
  cursor: text.optional(),
  timeRange: timeRangeSchema.optional(),
  filters: filtersSchema.optional(),
  includeAttributes: z.boolean().optional(),
})
export const getSchema = z.strictObject({ id: text.min(1), includePayload: z.boolean().optional() })

const groupSchema = z
  .strictObject({
    field: z.enum([
      'provider',
      'requestModel',
      'responseModel',
      'httpStatus',
      'outcome',
      'errorType',
      'protocol',
      'backend',
      'route',
      'target',
      'operation',
      'attributes',
    ]),
    key: z.string().optional(),
  })
  .refine(
    ({ field, key }) => (field === 'attributes') === (key !== undefined && isAttribute(key)),
    `with the field attributes, and only with it, a key: ${UNKNOWN_ATTRIBUTE}`,
  )

export const analyticsSchema = z.strictObject({
  timeRange: timeRangeSchema.optional(),
  filters: summaryFiltersSchema.optional(),
  groupBy: z.array(groupSchema).max(4).optional(),
  bucketCount: z.int().min(1).max(500).optional(),
  bucketSeconds: z.int().min(1).optional(),
})

type AskedFilters = z.output<typeof filtersSchema>

function attributeFilters(attributes: AskedFilters['attributes'] = {}): Filters {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) =>
      isAttribute(name) && value !== undefined ? [[ATTRIBUTES[name], value]] : [],
    ),
  )
}

export function filtersOf(asked: AskedFilters | undefined): Filters {
  const { attributes, ...filters } = asked ?? {}
  return { ...filters, ...attributeFilters(attributes) }
}

export const summaryFiltersOf = (asked: z.output<typeof summaryFiltersSchema> | undefined): SummaryFilters =>
  filtersOf(asked)

export function rangeOf(asked: z.output<typeof timeRangeSchema> | undefined): Partial<TimeRange> {
  const range = {
    ...(asked?.from !== undefined && { from: Date.parse(asked.from) }),
    ...(asked?.to !== undefined && { to: Date.parse(asked.to) }),
  }
  if (range.from !== undefined && range.to !== undefined && range.from >= range.to)
    throw new ApiError(400, 'timeRange: from must be before to')
  return range
}

/** A field of the API's and where its values stand in a group: `agentgateway.user` for an attribute. */
export interface GroupKey {
  readonly field: GroupField
  readonly name: string
}

export const groupKeysOf = (asked: z.output<typeof analyticsSchema>['groupBy'] = []): GroupKey[] =>
  asked.map(({ field, key }) => {
    if (field !== 'attributes') return { field, name: field }
    const name = key ?? ''
    return { field: isAttribute(name) ? ATTRIBUTES[name] : 'user', name }
  })

/** How the API calls each field of a group. */
export const nameOf = (field: GroupField): string =>
  Object.entries(ATTRIBUTES).find(([, one]) => one === field)?.[0] ?? field
