/** Images in both wire formats: one URL (which may hold the data) or a source that says what it is. */
import type { ImageSource } from '../wire/anthropic-messages.ts'
import { fail, nameAt, objectAt, stringAt } from './request-values.ts'

const DATA_URL = /^data:([^;,]*)((?:;[^;,]*)*),/i

/** The source that an `image_url` stands for. */
export function imageSourceAt(value: unknown, place: string): ImageSource {
  const url = stringAt(value, place)
  if (/^https?:\/\//i.test(url)) return { type: 'url', url }
  const match = DATA_URL.exec(url)
  if (match === null) return fail(place, 'expected a data URL or an http(s) URL')
  const [prefix, mediaType = '', parameters = ''] = match
  if (!/;base64$/i.test(parameters)) return fail(place, 'expected a data URL in base64')
  if (!/^image\//i.test(mediaType)) return fail(place, 'expected a data URL of an image')
  // `image/jpg` is written often and is no media type.
  const media_type = mediaType.toLowerCase().replace('image/jpg', 'image/jpeg')
  return { type: 'base64', media_type, data: url.slice(prefix.length) }
}

/** The URL that says the same as an image's `source`. */
export function imageUrlAt(value: unknown, place: string): string {
  const source = objectAt(value, place)
  switch (source.type) {
    case 'base64':
      return `data:${nameAt(source.media_type, `${place}.media_type`)};base64,${nameAt(source.data, `${place}.data`)}`
    case 'url':
      return nameAt(source.url, `${place}.url`)
    default:
      return fail(`${place}.type`, 'expected base64 or url')
  }
}
