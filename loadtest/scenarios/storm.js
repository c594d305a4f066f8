// A small budget and hundreds of callers on every edge who all come at once: is never more than the budget spent, and how much of it
// is? Near its end money lies in leases of edges where no request wants it just then, which goes back within seconds: until all is spent,
// callers who are refused come again.
//
//   GATEWAYS  comma-separated base URLs of the edges
//   KEY       a key that may call /load, with a budget for REQUESTS of its requests
//   REQUESTS  how many must be answered
import http from 'k6/http'
import exec from 'k6/execution'
import { check, sleep } from 'k6'
import { Counter } from 'k6/metrics'

const gateways = __ENV.GATEWAYS.split(',')
const requests = Number(__ENV.REQUESTS)
const paid = new Counter('paid_requests')
const refused = new Counter('refused_requests')

// A refusal is an answer that this test wants, not a failed request.
http.setResponseCallback(http.expectedStatuses(200, 402))

export const options = {
  scenarios: {
    storm: { executor: 'shared-iterations', vus: 300, iterations: requests * 6, maxDuration: '2m' },
  },
  thresholds: {
    checks: ['rate==1.0'],
    http_req_failed: ['rate==0'],
    paid_requests: [`count==${requests}`],
    refused_requests: [`count==${requests * 5}`],
  },
}

export default function () {
  const n = exec.scenario.iterationInTest
  const answer = http.post(`${gateways[n % gateways.length]}/load/v1/echo`, '{}', {
    headers: { Authorization: `Bearer ${__ENV.KEY}`, 'Content-Type': 'application/json' },
  })
  if (answer.status === 402) {
    refused.add(1)
    check(answer, { 'says why': (r) => r.json('error.code') === 'budget_exhausted' })
    sleep(0.05)
    return
  }
  if (check(answer, { 'is 200': (r) => r.status === 200 })) paid.add(1)
}
