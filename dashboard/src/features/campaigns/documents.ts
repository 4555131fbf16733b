import { graphql } from "@/graph";

export const PORTFOLIO = graphql(`
  query CampaignsPortfolio($window: Window) {
    portfolio(window: $window) {
      campaigns
      active
      metrics {
        ...CampaignFigures
      }
      byCurrency {
        currency
        campaigns
        metrics {
          ...CampaignFigures
        }
      }
    }
  }
`);

export const PORTFOLIO_TREND = graphql(`
  query CampaignsPortfolioTrend($window: Window, $interval: Interval!) {
    portfolio(window: $window) {
      trend(interval: $interval) {
        startsAt
        metrics {
          ...CampaignFigures
        }
      }
    }
  }
`);

export const BREAKDOWN = graphql(`
  query CampaignsBreakdown($window: Window) {
    portfolio(window: $window) {
      byChannel {
        segment
        metrics {
          ...CampaignFigures
        }
      }
      byMerchant(first: 10) {
        rank
        merchant {
          key
          name
        }
        metrics {
          ...CampaignFigures
        }
      }
    }
  }
`);

export const RANKING = graphql(`
  query CampaignsRanking($by: CampaignMetric!, $window: Window, $minimumSent: Int!) {
    topCampaigns(by: $by, first: 10, window: $window, minimumSent: $minimumSent) {
      rank
      value
      campaign {
        key
        name
        currency
        merchant {
          name
        }
      }
    }
  }
`);

export const CAMPAIGNS = graphql(`
  query CampaignsList($first: Int!, $after: String, $filter: CampaignFilter, $orderBy: CampaignOrder, $window: Window) {
    campaigns(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
      totalCount
      pageInfo {
        hasNextPage
        hasPreviousPage
        endCursor
      }
      nodes {
        key
        name
        status
        channels
        offerAmount
        currency
        startsAt
        endsAt
        merchant {
          key
          name
        }
        metrics(window: $window) {
          ...CampaignFigures
        }
      }
    }
  }
`);

export const CURRENCIES = graphql(`
  query CampaignsCurrencies {
    campaigns(first: 100) {
      nodes {
        currency
      }
    }
  }
`);

export const CAMPAIGN = graphql(`
  query CampaignPage($id: ID!, $window: Window) {
    campaign(id: $id) {
      id
      key
      name
      status
      channels
      offerAmount
      currency
      budget
      startsAt
      endsAt
      merchant {
        key
        name
        category
      }
      metrics(window: $window) {
        ...CampaignFigures
      }
      roi(window: $window) {
        revenue
        rewardCost
        deliveryCost
        profit
        roi
        breakEvenConversions
      }
    }
  }
`);

export const CAMPAIGN_BEFORE = graphql(`
  query CampaignBefore($id: ID!, $window: Window) {
    campaign(id: $id) {
      metrics(window: $window) {
        ...CampaignFigures
      }
    }
  }
`);

export const CAMPAIGN_TREND = graphql(`
  query CampaignTrend($id: ID!, $window: Window, $interval: Interval!) {
    campaign(id: $id) {
      trend(interval: $interval, window: $window) {
        startsAt
        metrics {
          ...CampaignFigures
        }
      }
    }
  }
`);

export const CAMPAIGN_SEGMENTS = graphql(`
  query CampaignSegments($id: ID!, $window: Window, $by: SegmentDimension!) {
    campaign(id: $id) {
      segments(window: $window, by: $by) {
        segment
        rank
        metrics {
          ...CampaignFigures
        }
      }
    }
  }
`);

export const CAMPAIGN_COHORTS = graphql(`
  query CampaignCohorts($id: ID!, $interval: Interval!, $periods: Int!) {
    campaign(id: $id) {
      cohorts(interval: $interval, periods: $periods) {
        startsAt
        size
        retained
        retention
      }
    }
  }
`);

export const CAMPAIGN_TESTS = graphql(`
  query CampaignTests($id: ID!) {
    campaign(id: $id) {
      tests(first: 20) {
        totalCount
        nodes {
          key
          name
          status
          progress
          targetSampleSize
          startedAt
          endedAt
          allocationPolicy
          winner {
            name
          }
        }
      }
    }
  }
`);

export const CAMPAIGN_ADVICE = graphql(`
  query CampaignAdvice($id: ID!) {
    campaign(id: $id) {
      currency
      offerAmount
      offerRefusal
      offerRecommendation {
        ...OfferCurveParts
      }
      sendingEffect {
        average {
          point
          low
          high
        }
        toldApart
        compared
        treated
        control
        reasons
      }
      sendingEffectRefusal
      segmentRefusal
      segmentRanking {
        ...SegmentRankParts
      }
      recommendations {
        ...RecommendationParts
      }
    }
  }
`);

export const CAMPAIGN_LIVE = graphql(`
  subscription CampaignLive($id: ID!) {
    campaignMetrics(campaignId: $id, maxPerSecond: 1) {
      ...CampaignFigures
      asOf
    }
  }
`);
