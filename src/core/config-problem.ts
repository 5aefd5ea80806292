/** A mistake in the configuration that only shows when it is put to use; the loader adds file, line and column. */
export class ConfigProblem extends Error {
  override readonly name = 'ConfigProblem'
  /** Keys and indices from the top of the file. */
  readonly path: readonly (string | number)[]

  constructor(path: readonly (string | number)[], message: string, options: ErrorOptions = {}) {
    super(message, options)
    this.path = path
  }

  /** For one who knows where the part is that has the mistake. */
  within(path: readonly (string | number)[]): ConfigProblem {
    return new ConfigProblem([...path, ...this.path], this.message, { cause: this.cause })
  }
}
