/** What HTTP itself does not allow, or a connection did not get done. */
export type HttpErrorCode = 'bad_request' | 'bad_response' | 'connect_timeout' | 'closed'

export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly code: HttpErrorCode

  constructor(code: HttpErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
