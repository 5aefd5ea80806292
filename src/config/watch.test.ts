import { fork } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FileWatch, type WatchOptions, watchFiles } from './watch.ts'

let directory = ''
let open: FileWatch[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'watch-'))
})

afterEach(async () => {
  for (const watch of open) watch.close()
  open = []
  await rm(directory, { recursive: true })
})

/** A watch whose changes are awaited one by one. The poll is off unless asked for: events have to do. */
function watching(paths: readonly string[], options: WatchOptions = {}) {
  const seen: (readonly string[])[] = []
  let wake = () => {}
  const watch = watchFiles(
    paths,
    (changed) => {
      seen.push(changed)
      wake()
    },
    { debounceMs: 20, pollMs: 3_600_000, ...options },
  )
  open.push(watch)
  const next = async () => {
    while (seen.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return seen.shift()
  }
  return { watch, next, seen }
}

async function file(name: string, content: string): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}

test('tells of a file that is written', async () => {
  const path = await file('a.yaml', '1')
  const { next } = watching([path])
  await writeFile(path, '2')
  expect(await next()).toEqual([path])
  await writeFile(path, '3')
  expect(await next()).toEqual([path])
})

test('tells of a file that an editor replaces, again and again', async () => {
  const path = await file('a.yaml', '0')
  const { next } = watching([path])
  for (const content of ['1', '2', '3']) {
    await rename(await file('.a.yaml.swp', content), path)
    expect(await next()).toEqual([path])
  }
})

test('tells of a file that is deleted and made again', async () => {
  const path = await file('a.yaml', '1')
  const other = await file('b.yaml', '1')
  const { next } = watching([path, other])
  await rm(path)
  await writeFile(other, '2')
  expect(await next()).toEqual([other]) // a file that is gone is no change
  await writeFile(path, '2')
  expect(await next()).toEqual([path])
})

test('tells of a file that was not there at first', async () => {
  const path = join(directory, 'late.yaml')
  const { next } = watching([path])
  await writeFile(path, '1')
  expect(await next()).toEqual([path])
})

test('tells of nothing when the content stays the same', async () => {
  const path = await file('a.yaml', '1')
  const other = await file('b.yaml', '1')
  const { next } = watching([path, other])
  await utimes(path, new Date(), new Date())
  await writeFile(path, '1')
  await rename(await file('a.tmp', '1'), path)
  await writeFile(other, '2')
  expect(await next()).toEqual([other])
})

test('tells of several files at once', async () => {
  const paths = [await file('a.yaml', '1'), await file('b.yaml', '1')]
  const { next } = watching(paths, { debounceMs: 100 })
  for (const path of paths) await writeFile(path, '2')
  expect(await next()).toEqual(paths)
})

/** As the kubelet does it: `config.yaml -> ..data/config.yaml`, `..data -> ..<time>`, and `..data` is exchanged. */
async function publish(version: string, contents: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(directory, version))
  for (const [name, content] of Object.entries(contents)) await file(join(version, name), content)
  await symlink(version, join(directory, '..data_tmp'))
  await rename(join(directory, '..data_tmp'), join(directory, '..data'))
}

test("follows the links of Kubernetes' ConfigMaps", async () => {
  await publish('..1', { 'config.yaml': '1', 'key.txt': 'k' })
  const paths = ['config.yaml', 'key.txt'].map((name) => join(directory, name))
  for (const path of paths) await symlink(join('..data', path.slice(directory.length + 1)), path)
  const { next } = watching(paths)
  await publish('..2', { 'config.yaml': '2', 'key.txt': 'k' })
  await rm(join(directory, '..1'), { recursive: true })
  expect(await next()).toEqual([paths[0]])
  await publish('..3', { 'config.yaml': '2', 'key.txt': 'l' })
  await rm(join(directory, '..2'), { recursive: true })
  expect(await next()).toEqual([paths[1]])
})

test('watches the directory of the file that a link leads to', async () => {
  await mkdir(join(directory, 'real'))
  const real = await file('real/a.yaml', '1')
  await mkdir(join(directory, 'link'))
  const link = join(directory, 'link/a.yaml')
  await symlink(real, link)
  const { next } = watching([link])
  await writeFile(real, '2')
  expect(await next()).toEqual([link])
})

test('finds by polling what no event tells, such as a directory that is made again', async () => {
  await mkdir(join(directory, 'd'))
  const path = await file('d/a.yaml', '1')
  const { next } = watching([path], { pollMs: 20 })
  await rm(join(directory, 'd'), { recursive: true })
  await mkdir(join(directory, 'd'))
  await writeFile(path, '2')
  expect(await next()).toEqual([path])
  await writeFile(path, '3')
  expect(await next()).toEqual([path])
})

test.skipIf(process.platform !== 'linux')(
  'sleeps while others write beside the file, and yet tells of it (reads are counted on Linux)',
  async () => {
    const path = await file('a.yaml', '1')
    const child = fork(fileURLToPath(new URL('watching.fixture.ts', import.meta.url)), [path])
    const [before] = (await once(child, 'message')) as [{ reads: number }]
    for (let line = 0; line < 1000; line++) await appendFile(join(directory, 'requests.log'), 'x')
    await writeFile(path, '2')
    const [after] = (await once(child, 'message')) as [{ reads: number }]
    const ended = once(child, 'exit')
    child.kill()
    await ended
    expect(after.reads - before.reads).toBeLessThan(100)
  },
)

test('takes another set of files', async () => {
  const first = await file('a.yaml', '1')
  const second = await file('b.yaml', '1')
  const { watch, next } = watching([first])
  watch.update([second])
  await writeFile(first, '2')
  await writeFile(second, '2')
  expect(await next()).toEqual([second])
  watch.update([second, first])
  await writeFile(first, '3')
  expect(await next()).toEqual([first])
})

test('is silent after close', async () => {
  const path = await file('a.yaml', '1')
  const { watch, seen } = watching([path])
  const other = watching([path])
  watch.close()
  watch.close()
  watch.update([path])
  await writeFile(path, '2')
  await other.next()
  expect(seen).toEqual([])
})

test('never throws for what is not there', async () => {
  const path = await file('z.yaml', '1')
  const { next } = watching([join(directory, 'none/a.yaml'), '/nowhere/at/all.yaml', path])
  await writeFile(path, '2')
  expect(await next()).toEqual([path])
})
