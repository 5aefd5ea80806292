/** Identifiers that look like the providers' own. Random: only their form is part of the wire format. */
import { randomFillSync } from 'node:crypto'

const BASE62 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const HEX = '0123456789abcdef'

const POOL = Buffer.alloc(16_384)
let used = POOL.length

/** Slightly uneven for alphabets that do not divide 256, which does not matter here. */
function random(alphabet: string, length: number): string {
  if (used + length > POOL.length) {
    randomFillSync(POOL)
    used = 0
  }
  let text = ''
  for (let index = 0; index < length; index++) {
    text += alphabet.charAt((POOL[used + index] ?? 0) % alphabet.length)
  }
  used += length
  return text
}

export const chatCompletionId = () => `chatcmpl-${random(BASE62, 29)}`
export const chatToolCallId = () => `call_${random(BASE62, 24)}`
/** Items of the Responses API share this form: `resp_`, `msg_`, `rs_`, `fc_`. */
export const responsesId = (kind: 'resp' | 'msg' | 'rs' | 'fc') => `${kind}_${random(HEX, 48)}`
export const openAIRequestId = () => `req_${random(HEX, 32)}`
export const messageId = () => `msg_01${random(BASE58, 22)}`
export const toolUseId = () => `toolu_01${random(BASE58, 22)}`
export const anthropicRequestId = () => `req_011C${random(BASE58, 20)}`
export const cloudflareRay = () => `${random(HEX, 16)}-CDG`
/** Padding that hides the length of a delta from someone who watches the encrypted stream. */
export const obfuscation = (length: number) => random(BASE62, length)
