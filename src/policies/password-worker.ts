/** Checks passwords beside the event loop, one after another: bcrypt takes a tenth of a second of a CPU. */
import { parentPort } from 'node:worker_threads'
import { isPassword } from './htpasswd.ts'

export interface CheckRequest {
  readonly id: number
  readonly password: string
  readonly hashed: string
}
export interface CheckReply {
  readonly id: number
  readonly isRight: boolean
}

parentPort?.on('message', ({ id, password, hashed }: CheckRequest) => {
  parentPort?.postMessage({ id, isRight: isPassword(password, hashed) } satisfies CheckReply)
})
