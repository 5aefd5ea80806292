import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LogWriter, type LogWriterOptions } from './log-writer.ts'

const LINE = `${'x'.repeat(99)}\n`
let folder = ''
const closing: (() => unknown)[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-writer-'))
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  rmSync(folder, { recursive: true })
})

function open(path: string, flags: number): number {
  const fd = openSync(path, flags)
  closing.push(() => closeSync(fd))
  return fd
}

/** A real pipe; reading never waits. */
function pipe() {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writeFd = open(path, constants.O_WRONLY)
  const readAll = () => {
    let text = ''
    const buffer = Buffer.alloc(65536)
    try {
      for (let size = 1; size > 0; ) {
        size = readSync(readFd, buffer)
        text += buffer.toString('utf8', 0, size)
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
    return text
  }
  return { writeFd, readFd, readAll }
}

function writerTo(fd: number, options: LogWriterOptions = {}) {
  const dropped: number[] = []
  const writer = new LogWriter({ fd, onDropped: (lines) => dropped.push(lines), ...options })
  closing.unshift(() => writer.close(0))
  return { writer, dropped: () => dropped.reduce((sum, lines) => sum + lines, 0) }
}

describe('LogWriter', () => {
  test('writes lines in their order, in few writes', async () => {
    const path = join(folder, 'log')
    const { writer, dropped } = writerTo(open(path, constants.O_WRONLY | constants.O_CREAT))
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index} ünï\n`)
    for (const line of lines) writer.write(line)
    expect(await writer.flush(5000)).toBe(true)
    expect(readFileSync(path, 'utf8')).toBe(lines.join(''))
    expect(dropped()).toBe(0)
  })

  test('holds what a stuck reader does not take, drops the rest, and goes on when it reads again', {
    retry: 3,
  }, async () => {
    const { writeFd, readAll } = pipe()
    const { writer, dropped } = writerTo(writeFd, { maxQueuedBytes: 200_000 })
    const count = 5000
    const startedAt = performance.now()
    for (let index = 0; index < count; index++) writer.write(LINE)
    expect(performance.now() - startedAt).toBeLessThan(200)
    expect(await writer.flush(30)).toBe(false)
    // What the pipe holds, what is being written, and the queue: all bounded.
    expect(dropped()).toBeGreaterThan(2000)

    let text = readAll()
    for (let isOut = false; !isOut; text += readAll()) isOut = await writer.flush(20)
    const lines = text.split('\n')
    expect(lines.pop()).toBe('')
    expect(lines.every((line) => line === LINE.trim())).toBe(true)
    expect(lines.length + dropped()).toBe(count)
  })

  test('writes lines that come as bytes between the others, and drops all of them when they do not fit', async () => {
    const path = join(folder, 'log')
    const { writer, dropped } = writerTo(open(path, constants.O_WRONLY | constants.O_CREAT), {
      maxQueuedBytes: 100,
    })
    writer.write('one\n')
    writer.writeAll(Buffer.from('twö\nthree\n'), 2)
    writer.writeAll(Buffer.from('x\n'.repeat(50)), 50)
    writer.write('four\n')
    expect(await writer.flush(5000)).toBe(true)
    expect(readFileSync(path, 'utf8')).toBe('one\ntwö\nthree\nfour\n')
    expect(dropped()).toBe(50)
    await writer.close(5000)
    writer.writeAll(Buffer.from('late\n'), 1)
    expect(dropped()).toBe(51)
  })

  test('takes up a slow reader’s pace without losing a byte', async () => {
    const { writeFd, readAll } = pipe()
    const { writer, dropped } = writerTo(writeFd)
    const lines = Array.from({ length: 20_000 }, (_, index) => `${index} ${'y'.repeat(50)}\n`)
    for (const line of lines) writer.write(line)
    let text = ''
    for (let isOut = false; !isOut; text += readAll()) isOut = await writer.flush(1)
    expect(text).toBe(lines.join(''))
    expect(dropped()).toBe(0)
  })

  test('does not make other holders of the pipe unblocked', () => {
    const { writeFd } = pipe()
    writerTo(writeFd)
    const flags = readFileSync(`/proc/self/fdinfo/${writeFd}`, 'utf8')
    expect(Number.parseInt(/flags:\s+(\d+)/.exec(flags)?.[1] ?? '', 8) & constants.O_NONBLOCK).toBe(0)
  })

  test.each([
    {
      name: 'a reader that left',
      fd: () => {
        const { writeFd, readFd } = pipe()
        closeSync(readFd)
        return writeFd
      },
    },
    { name: 'a full disk', fd: () => open('/dev/full', constants.O_WRONLY) },
    {
      name: 'a closed descriptor',
      fd: () => {
        const fd = openSync('/dev/null', constants.O_WRONLY)
        closeSync(fd)
        return fd
      },
    },
  ])('counts the lines that $name does not take, and goes on', async ({ fd }) => {
    const { writer, dropped } = writerTo(fd())
    for (let round = 1; round <= 3; round++) {
      writer.write(LINE)
      writer.write(LINE)
      expect(await writer.flush(5000)).toBe(true)
      expect(dropped()).toBe(round * 2)
    }
  })

  test('writes over nobody’s memory after a write that failed halfway through a line', async () => {
    const { writeFd, readFd, readAll } = pipe()
    const { writer } = writerTo(writeFd)
    writer.write(`${'x'.repeat(200_000)}\n`)
    expect(await writer.flush(20)).toBe(false)
    closeSync(readFd)
    expect(await writer.flush(5000)).toBe(true)
    expect(openSync(join(folder, 'pipe'), constants.O_RDONLY | constants.O_NONBLOCK)).toBe(readFd)
    readAll()

    // As many as fill a slab of Node's pool from its beginning.
    const others = Array.from({ length: 512 }, () => Buffer.allocUnsafe(256).fill('o'))
    for (const line of ['one\n', 'two\n', 'three\n']) {
      writer.write(line)
      expect(await writer.flush(5000)).toBe(true)
    }
    expect(readAll()).toBe('\none\ntwo\nthree\n')
    expect(others.filter((other) => other.some((byte) => byte !== 111))).toEqual([])
  })

  test('counts what was left at close, and what came later', async () => {
    const { writeFd, readAll } = pipe()
    const { writer, dropped } = writerTo(writeFd)
    for (let index = 0; index < 2000; index++) writer.write(LINE)
    await writer.close(20)
    writer.write(LINE)
    const whole = readAll().split('\n').length - 1
    // The last line in the pipe may be cut; its batch counts as dropped whole.
    expect(whole).toBeGreaterThan(0)
    expect(dropped()).toBe(2001)
  })
})

/** Runs in a process of its own; `body` sees `writer`. */
const script = (body: string) => `
  const { LogWriter } = await import(${JSON.stringify(new URL('./log-writer.ts', import.meta.url).href)})
  const writer = new LogWriter()
  ${body}`

describe('a process that ends', () => {
  test.each([
    { name: 'by itself', body: "writer.write('last words\\n')", status: 0 },
    { name: 'by process.exit', body: "writer.write('last words\\n'); process.exit(3)", status: 3 },
    { name: 'by an exception', body: "writer.write('last words\\n'); throw new Error('x')", status: 1 },
  ])('$name loses no line', ({ body, status }) => {
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script(body)])
    expect(child.stdout.toString()).toBe('last words\n')
    expect(child.status).toBe(status)
  })

  const body = `
    for (let i = 0; i < 5000; i++) writer.write('z'.repeat(99) + '\\n')
    await writer.flush(50)
    process.exit(4)`

  test.each([
    // What Node's own child processes and systemd's journal give.
    { name: 'a socket', stdout: () => 'pipe' as const },
    { name: 'a pipe', stdout: () => pipe().writeFd },
  ])('does so at once although nobody reads its log from $name', async ({ stdout }) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script(body)], {
      stdio: ['ignore', stdout(), 'ignore'],
    })
    const [code] = await once(child, 'exit')
    expect(code).toBe(4)
    child.stdout?.destroy()
  })
})
