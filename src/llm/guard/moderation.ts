/** OpenAI's moderation of texts. https://platform.openai.com/docs/api-reference/moderations/create */
import { z } from 'zod'
import type { ModerationConfig } from './schema.ts'
import type { Wire } from './service.ts'

const answerSchema = z.object({ results: z.array(z.object({ flagged: z.boolean() })) })

export const MODERATION_HOST = 'api.openai.com:443'

export const moderationWire = ({ model }: Pick<ModerationConfig, 'model'>): Wire => ({
  path: () => '/v1/moderations',
  write: ({ texts }) => ({ model, input: texts.map(({ content }) => content) }),
  read(answer, { texts }) {
    const { results } = answerSchema.parse(answer)
    if (results.length !== texts.length) throw new Error('another number of texts')
    return { action: results.some(({ flagged }) => flagged) ? 'reject' : 'pass' }
  },
  shown: () => ({}),
})
