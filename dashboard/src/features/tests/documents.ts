import { graphql } from "@/graph";

export const TESTS = graphql(`
  query TestsList($first: Int!, $after: String, $filter: TestFilter, $orderBy: TestOrder) {
    tests(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        key
        name
        status
        allocationPolicy
        metric {
          name
          kind
        }
        campaign {
          key
          name
        }
        startedAt
        progress
        targetSampleSize
        winner {
          name
        }
      }
    }
  }
`);

export const CAMPAIGNS = graphql(`
  query TestsCampaigns($search: String) {
    campaigns(first: 8, filter: { search: $search }, orderBy: NAME) {
      nodes {
        key
        name
      }
    }
  }
`);

export const TEST_STATE = graphql(`
  query TestsState($id: ID!) {
    test(id: $id) {
      status
      winner {
        key
      }
    }
  }
`);

export const TEST = graphql(`
  query TestsPage($id: ID!) {
    test(id: $id) {
      id
      key
      name
      hypothesis
      status
      campaign {
        key
        name
        currency
      }
      variants {
        ...TestsVariant
      }
      metric {
        ...TestsMetric
      }
      guardrails {
        key
      }
      allocationPolicy
      targetSampleSize
      startedAt
      endedAt
      winner {
        ...TestsVariant
      }
      guardrailStops {
        at
        reason
        metric {
          name
        }
        variant {
          name
        }
      }
      results {
        ...TestsResults
      }
    }
  }
  fragment TestsVariant on Variant {
    id
    key
    name
    isControl
  }
  fragment TestsMetric on Metric {
    key
    name
    kind
    higherIsBetter
    windowHours
    margin
    stops
  }
  fragment TestsInterval on IntervalEstimate {
    point
    low
    high
  }
  fragment TestsComparison on Comparison {
    variant {
      ...TestsVariant
    }
    difference {
      ...TestsInterval
    }
    lift {
      ...TestsInterval
    }
    pValue
    adjustedPValue
  }
  fragment TestsVerdict on Verdict {
    decision
    agreed
    reasons
    winner {
      ...TestsVariant
    }
  }
  fragment TestsResults on TestResults {
    asOf
    metric {
      ...TestsMetric
    }
    totals {
      variant {
        ...TestsVariant
      }
      exposed
      converted
      multipleExposed
      mean
      standardDeviation
    }
    sampleRatio {
      pValue
      mismatch
      caution
      expected
      observed
    }
    frequentist {
      test
      method
      statistic
      degreesOfFreedom
      pValue
      confidenceLevel
      significant
      comparisons {
        ...TestsComparison
      }
    }
    sequential {
      significant
      comparisons {
        ...TestsComparison
      }
    }
    bayesian {
      model
      converged
      rHat
      variants {
        variant {
          ...TestsVariant
        }
        mean {
          ...TestsInterval
        }
        liftOverControl {
          ...TestsInterval
        }
        probabilityBest
        probabilityBeatsControl
        expectedLoss
        density(points: 96) {
          x
          density
        }
      }
    }
    power {
      atMinimumDetectableEffect
      remainingUnits
      daysRemaining
    }
    guardrails {
      metric {
        ...TestsMetric
      }
      variant {
        ...TestsVariant
      }
      status
      difference {
        ...TestsInterval
      }
      margin
    }
    pending
    verdict {
      ...TestsVerdict
    }
  }
`);

export const TEST_LIVE = graphql(`
  subscription TestsLive($id: ID!) {
    testResults(testId: $id) {
      ...TestsResults
    }
  }
`);

export const TEST_COURSE = graphql(`
  query TestsCourse($id: ID!) {
    test(id: $id) {
      id
      course {
        at
        exposed
        frequentist {
          comparisons {
            ...TestsComparison
          }
        }
        sequential {
          comparisons {
            ...TestsComparison
          }
        }
      }
    }
  }
`);

export const TEST_ANALYSES = graphql(`
  query TestsAnalyses($id: ID!) {
    test(id: $id) {
      id
      analyses(first: 20) {
        totalCount
        nodes {
          id
          createdAt
          requestedBy
          results {
            asOf
            totals {
              exposed
            }
            bayesian {
              model
            }
            verdict {
              ...TestsVerdict
            }
          }
        }
      }
    }
  }
`);

export const TEST_ALLOCATION = graphql(`
  query TestsAllocation($id: ID!) {
    test(id: $id) {
      id
      allocationHistory(first: 100) {
        totalCount
        nodes {
          ...TestsShares
        }
      }
      adaptive {
        asOf
        units
        leftOut
        openUnits
        policyVersions
        estimates {
          estimator
          warning
          unavailable
          values {
            variant {
              ...TestsVariant
            }
            value {
              ...TestsInterval
            }
          }
          differences {
            variant {
              ...TestsVariant
            }
            difference {
              ...TestsInterval
            }
          }
        }
      }
    }
  }
  fragment TestsShares on Allocation {
    createdAt
    policyVersion
    policy
    floor
    discount
    shares {
      variant {
        key
      }
      probability
    }
  }
`);

export const ALLOCATION_LIVE = graphql(`
  subscription TestsAllocationLive($id: ID!) {
    allocation(testId: $id) {
      ...TestsShares
    }
  }
`);

export const START = graphql(`
  mutation TestsStart($id: ID!) {
    startTest(id: $id) {
      ...TestsChanged
    }
  }
  fragment TestsChanged on ABTestPayload {
    test {
      id
      status
    }
    errors {
      message
      path
    }
  }
`);

export const PAUSE = graphql(`
  mutation TestsPause($id: ID!) {
    pauseTest(id: $id) {
      ...TestsChanged
    }
  }
`);

export const END = graphql(`
  mutation TestsEnd($id: ID!, $winner: ID) {
    endTest(id: $id, winner: $winner) {
      ...TestsChanged
    }
  }
`);

export const ANALYZE = graphql(`
  mutation TestsAnalyze($id: ID!, $hierarchical: Boolean) {
    analyzeTest(id: $id, hierarchical: $hierarchical) {
      analysis {
        id
      }
      errors {
        message
        path
      }
    }
  }
`);

export const REALLOCATE = graphql(`
  mutation TestsReallocate($id: ID!) {
    reallocate(testId: $id) {
      allocation {
        policyVersion
      }
      errors {
        message
        path
      }
    }
  }
`);

export const CREATE = graphql(`
  mutation TestsCreate($input: CreateTestInput!) {
    createTest(input: $input) {
      test {
        id
        key
      }
      errors {
        code
        message
        path
      }
    }
  }
`);

export const SAMPLE_SIZE = graphql(`
  query TestsSampleSize($input: SampleSizeInput!) {
    sampleSize(input: $input) {
      perVariant
      total
      days
    }
  }
`);
