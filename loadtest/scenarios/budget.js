// A budget for a known number of requests, and many callers on every edge who want more than that:
// is exactly the budget spent, to the last request, and everything else refused for what it is?
//
//   GATEWAYS  comma-separated base URLs of the edges
//   KEY       a key that may call /load, with a budget for REQUESTS of its requests
//   REQUESTS  how many must be answered
import http from 'k6/http'
import exec from 'k6/execution'
import { check } from 'k6'
import { Counter } from 'k6/metrics'

const gateways = __ENV.GATEWAYS.split(',')
const requests = Number(__ENV.REQUESTS)
const paid = new Counter('paid_requests')
const refused = new Counter('refused_requests')

// A refusal is an answer that this test wants, not a failed request.
http.setResponseCallback(http.expectedStatuses(200, 402))

export const options = {
  scenarios: {
    crowd: {
      executor: 'shared-iterations',
      vus: 50,
      iterations: requests * 3,
      maxDuration: '2m',
    },
  },
  thresholds: {
    checks: ['rate==1.0'],
    http_req_failed: ['rate==0'],
    paid_requests: [`count==${requests}`],
    refused_requests: [`count==${requests * 2}`],
  },
}

export default function () {
  const n = exec.scenario.iterationInTest
  const body = JSON.stringify({ n })
  const answer = http.post(`${gateways[n % gateways.length]}/load/v1/echo`, body, {
    headers: { Authorization: `Bearer ${__ENV.KEY}`, 'Content-Type': 'application/json' },
  })
  if (answer.status === 402) {
    refused.add(1)
    check(answer, {
      'says why': (r) => r.json('error.code') === 'budget_exhausted',
      'says what to do': (r) => r.json('error.hint') !== '',
      'costs nothing': (r) => r.headers['X-Tollgate-Cost'] === '0.00',
    })
    return
  }
  const ok = check(answer, {
    'is 200': (r) => r.status === 200,
    'echoes the body': (r) => r.body === body,
    'names its cost': (r) => r.headers['X-Tollgate-Cost'] === '0.0025',
  })
  if (ok) paid.add(1)
}
