import { blocks } from './markdown.ts'

/** The worker that the README writes. */
export function readmeHello(): string {
  const hello = blocks('README.md').find(
    ({ lang, text }) => lang === 'ts' && text.includes("name: 'hello'"),
  )
  if (hello === undefined) throw new Error('README.md writes no hello worker')
  return hello.text
}
