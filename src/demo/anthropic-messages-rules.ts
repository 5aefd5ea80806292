/** What Anthropic demands beyond the form of each part: that turns, tools and thinking go together. */
import { badRequest } from './anthropic-errors.ts'
import { blocksOf, type MessagesRequest, type Turn } from './anthropic-messages-schema.ts'
import { isJson } from './wire-json.ts'

export interface Strictness {
  /** The real API joins neighbouring turns of one role; false refuses them, as its older versions did. */
  readonly joinsTurns: boolean
}

export function checkRequest(request: MessagesRequest, strictness: Strictness) {
  checkTurns(request.messages, strictness)
  checkSampling(request)
  checkThinking(request)
  checkTools(request)
}

export function checkTurns(turns: readonly Turn[], { joinsTurns }: Strictness) {
  const [first] = turns
  if (first === undefined) throw badRequest('messages: at least one message is required')
  if (first.role !== 'user') throw badRequest('messages: first message must use the "user" role')
  for (const [index, turn] of turns.entries()) {
    const isLast = index === turns.length - 1
    const before = turns[index - 1]
    if (!joinsTurns && before?.role === turn.role) {
      throw badRequest(
        `messages: roles must alternate between "user" and "assistant", but found multiple "${turn.role}" roles in a row`,
      )
    }
    checkContent(turn, index, isLast)
    checkToolResults(turn, before, index)
    checkToolUses(turn, turns[index + 1], index)
  }
}

function checkContent(turn: Turn, index: number, isLast: boolean) {
  if (turn.content.length === 0 && !(isLast && turn.role === 'assistant')) {
    throw badRequest(
      `messages.${index}: all messages must have non-empty content except for the optional final assistant message`,
    )
  }
  for (const [at, block] of blocksOf(turn).entries()) {
    if (block.type === 'text' && block.text === '' && typeof turn.content !== 'string') {
      throw badRequest('messages: text content blocks must be non-empty')
    }
    if (block.type === 'text' && block.text.trim() === '' && turn.content.length > 0) {
      throw badRequest('messages: text content blocks must contain non-whitespace text')
    }
    if (block.type === 'tool_result' && turn.role !== 'user') {
      throw badRequest(`messages.${index}: \`tool_result\` blocks can only be in \`user\` messages`)
    }
    if ((block.type === 'tool_use' || block.type === 'thinking') && turn.role !== 'assistant') {
      throw badRequest(`messages.${index}: \`${block.type}\` blocks can only be in \`assistant\` messages`)
    }
    if (block.type === 'thinking' && !SIGNATURE.test(block.signature)) {
      throw badRequest(`messages.${index}.content.${at}: Invalid \`signature\` in \`thinking\` block`)
    }
  }
  const end = blocksOf(turn).at(-1)
  if (isLast && turn.role === 'assistant' && end?.type === 'text' && /\s$/.test(end.text)) {
    throw badRequest('messages: final assistant content cannot end with trailing whitespace')
  }
}

/** What our signatures look like; a gateway that invents or mangles one is found out. */
const SIGNATURE = /^E[A-Za-z0-9+/]{40,}={0,2}$/

const usesOf = (turn: Turn | undefined) =>
  turn === undefined ? [] : blocksOf(turn).flatMap((block) => (block.type === 'tool_use' ? [block.id] : []))

function checkToolResults(turn: Turn, before: Turn | undefined, index: number) {
  const called = new Set(before?.role === 'assistant' ? usesOf(before) : [])
  for (const [at, block] of blocksOf(turn).entries()) {
    if (block.type !== 'tool_result') continue
    if (called.has(block.tool_use_id)) continue
    throw badRequest(
      `messages.${index}.content.${at}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${block.tool_use_id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`,
    )
  }
}

/** Results come first in the turn after; a text before them hides them. */
function checkToolUses(turn: Turn, after: Turn | undefined, index: number) {
  const uses = usesOf(turn)
  if (new Set(uses).size !== uses.length) throw badRequest('messages: `tool_use` ids must be unique')
  if (uses.length === 0) return
  const answered = new Set<string>()
  for (const block of after === undefined ? [] : blocksOf(after)) {
    if (block.type !== 'tool_result') break
    if (answered.has(block.tool_use_id)) {
      throw badRequest(
        `messages.${index + 1}.content: each tool_use must have a single result. Found multiple \`tool_result\` blocks with id: ${block.tool_use_id}`,
      )
    }
    answered.add(block.tool_use_id)
  }
  const open = uses.filter((id) => !answered.has(id))
  if (open.length === 0) return
  throw badRequest(
    `messages.${index + 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
  )
}

function checkSampling({ temperature, top_p, model, stop_sequences = [], max_tokens }: MessagesRequest) {
  if (temperature !== undefined && (temperature < 0 || temperature > 1)) {
    throw badRequest('temperature: range: 0..1')
  }
  if (temperature !== undefined && top_p !== undefined && /-(opus|sonnet|haiku)-(4-[1-9]|5)/.test(model)) {
    throw badRequest(
      '`temperature` and `top_p` cannot both be specified for this model. Please use only one.',
    )
  }
  if (stop_sequences.some((stop) => stop.trim() === '')) {
    throw badRequest('stop_sequences: each stop sequence must contain non-whitespace')
  }
  if (max_tokens > 200_000) {
    throw badRequest(
      `max_tokens: ${max_tokens} > 128000, which is the maximum allowed number of output tokens for ${model}`,
    )
  }
}

const THINKING_DOCS =
  'Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking'

function checkThinking(request: MessagesRequest) {
  const { thinking, max_tokens, temperature, top_k, top_p, tool_choice } = request
  if (thinking?.type !== 'enabled') return
  if (max_tokens <= thinking.budget_tokens) {
    throw badRequest(
      `\`max_tokens\` must be greater than \`thinking.budget_tokens\`. ${THINKING_DOCS}#max-tokens-and-context-window-size`,
    )
  }
  if (temperature !== undefined && temperature !== 1) {
    throw badRequest(
      `\`temperature\` may only be set to 1 when thinking is enabled. ${THINKING_DOCS}#important-considerations-when-using-extended-thinking`,
    )
  }
  if (top_k !== undefined) {
    throw badRequest(`\`top_k\` must be unset when thinking is enabled. ${THINKING_DOCS}`)
  }
  if (top_p !== undefined && top_p < 0.95) {
    throw badRequest(
      `\`top_p\` must be greater than or equal to 0.95 or unset when thinking is enabled. ${THINKING_DOCS}`,
    )
  }
  if (tool_choice?.type === 'any' || tool_choice?.type === 'tool') {
    throw badRequest('Thinking may not be enabled when tool_choice forces tool use.')
  }
  checkThinkingFirst(request.messages)
}

/** While tools are at work, the assistant's turn has to begin with what it thought. */
function checkThinkingFirst(turns: readonly Turn[]) {
  const index = turns.findLastIndex((turn) => turn.role === 'assistant')
  const turn = turns[index]
  if (turn === undefined || usesOf(turn).length === 0) return
  const [first] = blocksOf(turn)
  if (first === undefined || first.type === 'thinking' || first.type === 'redacted_thinking') return
  throw badRequest(
    `messages.${index}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${first.type}\`. When \`thinking\` is enabled, a final \`assistant\` message must start with a thinking block (preceeding the lastmost set of \`tool_use\` and \`tool_result\` blocks). We recommend you include thinking blocks from previous turns. To avoid this requirement, disable \`thinking\`. ${THINKING_DOCS}`,
  )
}

function checkTools({ tools = [], tool_choice, messages }: MessagesRequest) {
  const names = tools.flatMap((tool) => (isJson(tool) && typeof tool.name === 'string' ? [tool.name] : []))
  if (new Set(names).size !== names.length) throw badRequest('tools: Tool names must be unique.')
  if (tool_choice !== undefined && tool_choice.type !== 'none' && tools.length === 0) {
    throw badRequest('tool_choice: tool_choice may only be specified while providing tools')
  }
  if (tool_choice?.type === 'tool' && !names.includes(tool_choice.name)) {
    throw badRequest(`tool_choice: Tool '${tool_choice.name}' not found in provided tools`)
  }
  if (tools.length === 0 && messages.some((turn) => usesOf(turn).length > 0)) {
    throw badRequest('Requests which include `tool_use` or `tool_result` blocks must define tools.')
  }
}
