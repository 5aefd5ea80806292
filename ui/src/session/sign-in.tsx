import { useEffect, useState } from 'preact/hooks'
import { ApiError, messageOf } from '../api/client.ts'
import { signIn } from './session.ts'

export function SignIn() {
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState('')
  const [isBusy, setBusy] = useState(false)

  useEffect(() => {
    document.title = 'Sign in · AgentGateway'
  }, [])

  async function submit(event: Event) {
    event.preventDefault()
    setBusy(true)
    try {
      await signIn(token.trim())
    } catch (error) {
      const isWrong = error instanceof ApiError && error.status === 401
      setProblem(isWrong ? 'This is not the token of this gateway.' : messageOf(error))
      setBusy(false)
    }
  }

  return (
    <main class="sign-in">
      <form class="card" onSubmit={submit}>
        <h1 class="row">
          <img src="/ui/icon.svg" alt="" width="26" height="26" /> Sign in to AgentGateway
        </h1>
        <p class="soft">
          The token was printed once in the gateway's log at its start, or is configured as{' '}
          <code>config.adminToken</code>.
        </p>
        <label class="label">
          Token
          <input
            class="input"
            type="password"
            autoComplete="current-password"
            required
            value={token}
            aria-invalid={problem !== ''}
            aria-describedby="sign-in-problem"
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <p id="sign-in-problem" class="bad" role="alert" hidden={problem === ''}>
          {problem}
        </p>
        <button type="submit" class="button primary" disabled={isBusy || token.trim() === ''}>
          {isBusy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </main>
  )
}
