import { graphql } from "@/graph";

export const NEXT = graphql(`
  query AdviceNext($first: Int!, $after: String, $kind: RecommendationKind, $campaignId: ID) {
    recommendations(first: $first, after: $after, kind: $kind, campaignId: $campaignId) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        ...RecommendationParts
        campaign {
          key
          name
          currency
        }
        test {
          key
          name
        }
      }
    }
  }
`);

export const CAMPAIGNS = graphql(`
  query AdviceCampaigns {
    campaigns(first: 100, orderBy: NAME) {
      nodes {
        key
        name
      }
    }
  }
`);

export const CAMPAIGN = graphql(`
  query AdviceCampaign($id: ID!) {
    campaign(id: $id) {
      id
      key
      name
      offerAmount
      currency
      offerRecommendation {
        ...OfferCurveParts
      }
      offerRefusal
      segmentRanking {
        ...SegmentRankParts
      }
      segmentRefusal
    }
  }
`);

export const PERSON = graphql(`
  query AdvicePerson($id: ID!, $latitude: Float, $longitude: Float) {
    user(id: $id) {
      id
      externalId
      segment
      timezone
      affinities(first: 5, latitude: $latitude, longitude: $longitude) {
        rank
        score
        distanceKm
        evidence
        reasons
        merchant {
          key
          name
          category
        }
      }
      recommendedCampaigns(first: 5, latitude: $latitude, longitude: $longitude) {
        rank
        score
        distanceKm
        evidence
        reasons
        campaign {
          key
          name
          offerAmount
          currency
        }
      }
    }
  }
`);

export const HOURS = graphql(`
  query AdviceHours($id: ID!) {
    user(id: $id) {
      id
      sendTime {
        hour
        dayOfWeek
        timezone
        openProbability
        interval {
          low
          high
        }
        evidence
        byHour
        sends
        quietHours
        explored
        probability
        nextAt
        reasons
      }
    }
  }
`);

export const MODELS = graphql(`
  query AdviceModels {
    models {
      id
      kind
      version
      trainedAt
      trainingRows
      seconds
      scores
      featureImportances
      active
      refusals
    }
  }
`);

export const TRAIN = graphql(`
  mutation AdviceTrain {
    trainModels {
      job {
        id
        status
        progress
        message
      }
      errors {
        message
      }
    }
  }
`);

export const TRAINING = graphql(`
  subscription AdviceTraining($id: ID!) {
    job(id: $id) {
      id
      status
      progress
      message
      error
    }
  }
`);

export const CANCEL = graphql(`
  mutation AdviceCancel($id: ID!) {
    cancelJob(id: $id) {
      job {
        id
      }
      errors {
        message
      }
    }
  }
`);

export const ACTIVATE = graphql(`
  mutation AdviceActivate($id: ID!) {
    activateModel(id: $id) {
      model {
        id
        kind
        version
        active
      }
      errors {
        message
      }
    }
  }
`);

export const CREATE_AMOUNT_TEST = graphql(`
  mutation AdviceAmountTest($input: AmountTestInput!) {
    createAmountTest(input: $input) {
      test {
        key
      }
      errors {
        message
        path
      }
    }
  }
`);
