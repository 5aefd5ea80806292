/**
 * A chat with a model through the gateway: what a client would get, and what the gateway made of it.
 */
import { useEffect, useRef } from 'preact/hooks'
import { place, setQuery } from '../navigation/location.ts'
import { Icon } from '../parts/icons.tsx'
import { Page } from '../parts/page.tsx'
import { Segments } from '../parts/segments.tsx'
import { Empty } from '../parts/states.tsx'
import { firstPort, plainPorts } from '../session/session.ts'
import { ask, clear, draft, exchanges, isAsking, numberOf, settings, stop } from './conversation.ts'
import { ExchangeView } from './exchange-view.tsx'
import { SettingsForm } from './settings-form.tsx'
import { CHAT_APIS, type ChatApi, type ChatSettings } from './wire.ts'

const NEAR_END_PX = 80

export function PlaygroundPage() {
  const { query } = place.value
  const api: ChatApi = query.get('api') === 'messages' ? 'messages' : 'completions'
  const model = query.get('model') ?? ''
  const ports = plainPorts()
  const wanted = Number(query.get('port'))
  const port = ports.includes(wanted) ? wanted : (ports[0] ?? firstPort())

  function submit() {
    const question = draft.value.trim()
    if (question === '' || model.trim() === '' || isAsking.value) return
    const { system, temperature, maxTokens, isStreamed } = settings.value
    const chat: ChatSettings = {
      api,
      model,
      system,
      temperature: numberOf(temperature),
      maxTokens: numberOf(maxTokens),
      isStreamed,
    }
    draft.value = ''
    void ask(port, chat, question)
  }

  return (
    <Page
      title="Playground"
      isFull
      controls={
        <div class="row push">
          <Segments
            label="API"
            options={CHAT_APIS}
            value={api}
            onChange={(id) => setQuery({ api: id === 'messages' ? id : undefined }, { replace: true })}
          />
          {ports.length > 1 && (
            <label class="row soft">
              Port
              <select
                class="input"
                value={port}
                onChange={(event) => setQuery({ port: event.currentTarget.value }, { replace: true })}
              >
                {ports.map((one) => (
                  <option key={one} value={one}>
                    {one}
                  </option>
                ))}
              </select>
            </label>
          )}
          <button type="button" class="button" disabled={exchanges.value.length === 0} onClick={clear}>
            New conversation
          </button>
        </div>
      }
    >
      <div class="playground">
        <SettingsForm model={model} />
        <section class="chat" aria-label="Conversation">
          <Conversation />
          <Composer hasModel={model.trim() !== ''} onSubmit={submit} />
        </section>
      </div>
    </Page>
  )
}

function Conversation() {
  const frame = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  const all = exchanges.value
  const last = all.at(-1)

  // Follows the text as it comes, unless the reader has scrolled up.
  useEffect(() => {
    const element = frame.current
    if (element !== null && isAtEnd.current) element.scrollTop = element.scrollHeight
  }, [all])

  return (
    <div
      class="chat-turns"
      ref={frame}
      role="log"
      aria-label="Turns"
      aria-live="off"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      onScroll={(event) => {
        const { scrollHeight, scrollTop, clientHeight } = event.currentTarget
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX
      }}
    >
      {all.length === 0 ? (
        <Empty title="Ask a model something">
          <p>
            The request goes through the gateway as a client's would: with its routes, policies, prices and
            traces. It costs what a client's costs.
          </p>
        </Empty>
      ) : (
        all.map((exchange) => <ExchangeView key={exchange.id} exchange={exchange} />)
      )}
      {/* Spoken once it is complete: word by word nobody could listen to it. */}
      <p class="only-spoken" aria-live="polite">
        {last?.reply.isDone ? last.reply.text : ''}
      </p>
    </div>
  )
}

function Composer({ hasModel, onSubmit }: { readonly hasModel: boolean; readonly onSubmit: () => void }) {
  const isEmpty = draft.value.trim() === ''
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        onSubmit()
      }}
    >
      <textarea
        class="input"
        rows={3}
        aria-label="Your message"
        placeholder="Your message. Enter sends, Shift+Enter breaks the line."
        value={draft.value}
        onInput={(event) => {
          draft.value = event.currentTarget.value
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
          event.preventDefault()
          onSubmit()
        }}
      />
      {isAsking.value ? (
        <button type="button" class="button" onClick={stop}>
          <Icon name="stop" /> Stop
        </button>
      ) : (
        <button
          type="submit"
          class="button primary"
          disabled={isEmpty || !hasModel}
          title={hasModel ? undefined : 'Name a model first'}
        >
          <Icon name="send" /> Send
        </button>
      )}
    </form>
  )
}
