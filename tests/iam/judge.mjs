// Judges requests with @cloud-copilot/iam-simulate: one simulation a line on stdin, one verdict a line on stdout.
// node judge.mjs DIR, where DIR is what tests/iam/install made.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const require = createRequire(process.argv[2] + '/')
const { runSimulation } = await import(pathToFileURL(require.resolve('@cloud-copilot/iam-simulate')).href)

const sids = (analysis, kind) => (analysis?.[kind] ?? []).map(({ statement }) => statement.sid())

function verdict(run) {
  if (run.resultType === 'error') return { error: JSON.stringify(run.errors) }
  const results = run.resultType === 'single' ? [run.result] : run.results
  const both = (kind) => [
    ...new Set(results.flatMap(({ analysis }) => [
      ...sids(analysis.identityAnalysis, kind),
      ...sids(analysis.resourceAnalysis, kind)
    ]))
  ]
  return {
    result: run.overallResult,
    allowed_by: both('allowStatements'),
    denied_by: both('denyStatements'),
    ignored: [...new Set(results.flatMap((one) => one.ignoredContextKeys ?? []))]
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(verdict(await runSimulation(JSON.parse(line), {}))))
}
