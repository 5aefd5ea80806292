/** `policies.ai`, with what its guards need of other stages. */

import { z } from 'zod'
import { orEmpty } from '../core/schema.ts'
import { promptGuardSchemaWith } from '../llm/guard/schema.ts'
import { aiPolicySchema as baseSchema } from '../llm/schema.ts'
import { backendAuthSchema } from '../policies/backend-auth.ts'
import { backendTlsSchema } from '../upstream/schema.ts'

const servicePoliciesSchema = z.strictObject({
  backendAuth: backendAuthSchema.optional(),
  backendTLS: orEmpty(backendTlsSchema).optional(),
})

export const aiPolicySchema = baseSchema.extend({
  promptGuard: promptGuardSchemaWith(servicePoliciesSchema).optional(),
})
export type AiPolicy = z.output<typeof aiPolicySchema>
