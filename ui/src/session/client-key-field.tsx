import { useEffect } from 'preact/hooks'
import { clientKey, keepClientKey } from './client-key.ts'
import { runtime } from './session.ts'

/** The simulated providers of the demo ask for a key and take any. */
const DEMO_KEY = 'demo'

export function ClientKeyField() {
  const isDemo = runtime.value?.isDemo === true
  useEffect(() => {
    if (isDemo && clientKey.peek() === '') keepClientKey(DEMO_KEY)
  }, [isDemo])

  return (
    <label class="label">
      <span>
        Client key{' '}
        <span class="hint">{isDemo ? 'the demo takes any' : 'optional, kept in this tab only'}</span>
      </span>
      <input
        class="input"
        type="password"
        autoComplete="off"
        placeholder="sent as Authorization: Bearer …"
        value={clientKey.value}
        onInput={(event) => keepClientKey(event.currentTarget.value)}
      />
    </label>
  )
}
