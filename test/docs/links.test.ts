import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { blocks, pages, read, root } from './markdown.ts'

const LINK = /\]\(([^)\s]+)\)/g

for (const page of pages()) {
  t.test(`${page}: its links lead somewhere`, async (t) => {
    for (const link of links(page)) {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(root, target))) t.fail(`${link}: there is no ${target}`)
      else if (anchor !== undefined) t.ok(anchors(target).includes(anchor), `${link}: the heading`)
    }
  })
}

/** The relative links of a page, those in its code left out. */
function links(page: string): string[] {
  return [...prose(page).matchAll(LINK)]
    .map(([, link]) => link ?? '')
    .filter((link) => !/^[a-z]+:/.test(link))
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(page: string): string[] {
  return [...prose(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function prose(page: string): string {
  return blocks(page).reduce((text, block) => text.replace(block.text, ''), read(page))
}
