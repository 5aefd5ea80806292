/**
 * Tells when the content of files changes.
 *
 * Watches the directories, not the files: editors and Kubernetes replace files instead of writing them, and a watch
 * on the file would follow the old one. What a directory reports is only a reason to look; the content decides.
 * Others may write there all the time, as the request store and the log do where they lie beside the configuration:
 * after an event of theirs nobody listens until the files have been looked at.
 * A slow poll stands in where events do not arrive (network file systems, links across directories, inotify limits).
 */
import { createHash } from 'node:crypto'
import { type FSWatcher, readFileSync, realpathSync, statSync, watch } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

export interface WatchOptions {
  /** Quiet time after an event before looking; a busy directory delays at most ten times as long. */
  readonly debounceMs?: number
  readonly pollMs?: number
}

export interface FileWatch {
  /** Replaces the set of files. Those that are new count as seen with their present content. */
  update(paths: readonly string[]): void
  close(): void
}

interface Seen {
  /** Cheap to get; equal means unchanged. */
  readonly signature: string
  readonly hash: string
}

/** To miss nothing, begin watching before reading the files. A missing file is no change until it is back. */
export function watchFiles(
  paths: readonly string[],
  onChange: (changed: readonly string[]) => void,
  options: WatchOptions = {},
): FileWatch {
  return new DirectoryWatch(paths, onChange, options)
}

const hashOf = (content: Buffer) => createHash('sha256').update(content).digest('base64')

const signatureOf = (stats: { ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }) =>
  `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`

class DirectoryWatch implements FileWatch {
  readonly #onChange: (changed: readonly string[]) => void
  readonly #debounceMs: number
  readonly #poll: NodeJS.Timeout
  /** By the path as given. */
  #files = new Map<string, Seen | undefined>()
  /** Where they are, and where links lead. */
  #places = new Set<string>()
  readonly #watchers = new Map<string, { readonly watcher: FSWatcher; readonly inode: bigint }>()
  #timer: NodeJS.Timeout | undefined
  #waitingSince: number | undefined
  #looking = false
  #lookAgain = false
  #closed = false

  constructor(
    paths: readonly string[],
    onChange: (changed: readonly string[]) => void,
    { debounceMs = 250, pollMs = 2000 }: WatchOptions,
  ) {
    this.#onChange = onChange
    this.#debounceMs = debounceMs
    this.update(paths)
    this.#poll = setInterval(() => void this.#look(), pollMs).unref()
  }

  update(paths: readonly string[]): void {
    if (this.#closed) return
    // Watch first, read second: what is written in between makes an event.
    const files = new Map(paths.map((path) => [path, this.#files.get(path)]))
    const added = paths.filter((path) => !this.#files.has(path))
    this.#files = files
    this.#watchDirectories()
    for (const path of added) files.set(path, seenNow(path))
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#poll)
    clearTimeout(this.#timer)
    for (const { watcher } of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #watchDirectories(): void {
    this.#places = new Set([...this.#files.keys()].flatMap(placesOf))
    const wanted = new Set([...this.#places].map((place) => dirname(place)))
    for (const [directory, { watcher, inode }] of this.#watchers) {
      // A directory that was deleted and made again is another one.
      if (wanted.has(directory) && inodeOf(directory) === inode) continue
      watcher.close()
      this.#watchers.delete(directory)
    }
    for (const directory of wanted) {
      const inode = inodeOf(directory)
      if (inode === undefined || this.#watchers.has(directory)) continue
      try {
        const watcher = watch(directory, { persistent: false }, (_event, name) => {
          if (name === null || !this.#places.has(join(directory, name))) unwatch()
          this.#schedule()
        })
        const unwatch = () => {
          watcher.close()
          this.#watchers.delete(directory)
        }
        watcher.on('error', unwatch)
        this.#watchers.set(directory, { watcher, inode })
      } catch {
        // No watch to be had (gone again, or too many): the poll looks instead.
      }
    }
  }

  #schedule(): void {
    if (this.#closed) return
    const now = performance.now()
    this.#waitingSince ??= now
    const left = this.#waitingSince + 10 * this.#debounceMs - now
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        this.#waitingSince = undefined
        void this.#look()
      },
      Math.max(0, Math.min(this.#debounceMs, left)),
    ).unref()
  }

  async #look(): Promise<void> {
    if (this.#looking) {
      this.#lookAgain = true
      return
    }
    this.#looking = true
    do {
      this.#lookAgain = false
      this.#watchDirectories()
      const files = this.#files
      const changed: string[] = []
      for (const [path, seen] of files) {
        const now = await look(path, seen)
        if (now === undefined || this.#files !== files) continue
        files.set(path, now)
        if (now.hash !== seen?.hash) changed.push(path)
      }
      if (changed.length > 0 && !this.#closed) this.#onChange(changed)
    } while (this.#lookAgain && !this.#closed)
    this.#looking = false
  }
}

/** `undefined` when it cannot be read now, or changes while being read: then there is another event, or the poll. */
async function look(path: string, seen: Seen | undefined): Promise<Seen | undefined> {
  try {
    const before = signatureOf(await stat(path, { bigint: true }))
    if (before === seen?.signature) return seen
    const hash = hashOf(await readFile(path))
    const after = signatureOf(await stat(path, { bigint: true }))
    return before === after ? { signature: after, hash } : undefined
  } catch {
    return undefined
  }
}

function seenNow(path: string): Seen | undefined {
  try {
    return { signature: signatureOf(statSync(path, { bigint: true })), hash: hashOf(readFileSync(path)) }
  } catch {
    return undefined
  }
}

function inodeOf(directory: string): bigint | undefined {
  return statSync(directory, { bigint: true, throwIfNoEntry: false })?.ino
}

function placesOf(path: string): string[] {
  const place = resolve(path)
  try {
    return [place, realpathSync(path)]
  } catch {
    return [place]
  }
}
