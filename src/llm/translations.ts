/** Every translation there is: one line each. */
import { chatToMessages } from './translate/chat-to-messages.ts'
import { messagesToChat } from './translate/messages-to-chat.ts'
import { messagesToResponses } from './translate/messages-to-responses.ts'
import { responsesToChat } from './translate/responses-to-chat.ts'
import { responsesToMessages } from './translate/responses-to-messages.ts'
import type { Translation } from './translate/translation.ts'

export const TRANSLATIONS: readonly Translation[] = [
  chatToMessages,
  messagesToChat,
  messagesToResponses,
  responsesToChat,
  responsesToMessages,
  // Each has a stream state of its own; whoever runs one only hands it back.
] as readonly Translation[]
