// Preloaded by `npm start`, before the first TypeScript file: what was compiled and stripped of its types is
// kept for the next start, which then takes less time and memory. Plain JavaScript, so that it needs neither.
import { enableCompileCache } from 'node:module'

enableCompileCache()
