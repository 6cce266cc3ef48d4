// @ts-check
// The order, introductions and examples of the published reference. Parameters and responses of an
// endpoint come from the API's description; this file has only what a description has no place for.

/**
 * @typedef {{title: string, example: unknown}} Example
 * @typedef {{operation: string, note?: string, request?: string, examples?: Example[]}} Entry
 * @typedef {{id: string, title: string, tag?: string, intro?: string[], entries: Entry[]}} Section
 */

const PROVIDER = { id: 1, name: 'Jane Smith', title: 'PA-C', specialty: 'Aesthetics' };

/** @type {Section[]} */
export const SECTIONS = [
  {
    id: 'authentication', title: 'Authentication', tag: 'Authentication',
    intro: ['Our API uses API Keys to generate temporary JWT Bearer tokens.'],
    entries: [{
      operation: 'POST /v1/{PPass}/auth/token',
      examples: [
        { title: 'Request Body', example: { apiKey: 'your_api_key_here' } },
        { title: 'Response', example: { accessToken: 'eyJhbGciOiJIUzI1NiIs...', tokenType: 'Bearer', expiresIn: '24h' } },
        { title: 'Include the token in all subsequent requests', example: 'Authorization: Bearer YOUR_TOKEN' },
      ],
    }],
  },
  {
    id: 'prospects', title: 'Prospects', tag: 'Prospects',
    entries: [
      { operation: 'GET /v1/{PPass}/prospects', note: 'Query params: search, page, limit, prospect=true' },
      {
        operation: 'POST /v1/{PPass}/prospects',
        examples: [{ title: 'Example Body', example: { FirstName: 'John', LastName: 'Doe', EMail: 'john@example.com', Phone: '555-0123' } }],
      },
      {
        operation: 'PUT /v1/{PPass}/prospects/{id}',
        note: 'Fields: FirstName, MI, LastName, FullName, NickName, Gender (m,f,o,u), DOB, LifeStage (Infant,Toddler,Child,Adolescent,EarlyAdult,Adult,AllAdults,Senior), Pronouns, SexualIdentity, PrimaryLanguage, Type (Patient,Child,Cash,Insurance,Guarantor), Phone, CellPhone, SMSPhone, EMail, Address, Unit, City, State, Zip, Country, ProviderID, Prospect (1,0), Sh_Name, Sh_Address, Sh_Unit, Sh_City, Sh_State, Sh_Zip, Sh_Country, PtImg, Notes',
      },
    ],
  },
  {
    id: 'tags', title: 'Tags', tag: 'Tags',
    entries: [
      { operation: 'GET /v1/{PPass}/tags' },
      { operation: 'POST /v1/{PPass}/tags/prospects/{id}', examples: [{ title: 'Example Body', example: { tagId: 123 } }] },
      { operation: 'DELETE /v1/{PPass}/tags/prospects/{id}/{tagId}' },
      { operation: 'DELETE /v1/{PPass}/tags/prospects/{id}' },
    ],
  },
  {
    id: 'providers', title: 'Providers', tag: 'Providers', intro: ['Requires `Providers` scope.'],
    entries: [
      { operation: 'GET /v1/{PPass}/availability/providers' },
      { operation: 'GET /v1/{PPass}/availability/providers/{id}' },
      {
        operation: 'GET /v1/{PPass}/availability/providers/{id}/schedule', note: 'Query params: startDate, endDate, visitType',
        request: 'GET /v1/DemoOffice/availability/providers/1/schedule?startDate=2026-03-09&endDate=2026-03-15',
        examples: [{
          title: 'Example Response',
          example: {
            data: {
              provider: PROVIDER, startDate: '2026-03-09', endDate: '2026-03-15',
              schedule: { '2026-03-09': [{ VisitID: 101, time: '09:00:00', duration: 30, type: 'FOLLOWUP', booked: true }] }, totalVisits: 1,
            },
          },
        }],
      },
      {
        operation: 'GET /v1/{PPass}/availability/providers/{id}/check', note: 'Query params: date, time, duration',
        request: 'GET /v1/DemoOffice/availability/providers/1/check?date=2026-03-09&time=10:15:00&duration=30',
        examples: [{ title: 'Example Response', example: { data: { ProviderID: 1, Date: '2026-03-09', Time: '10:15:00', Duration: 30, Available: true } } }],
      },
      {
        operation: 'GET /v1/{PPass}/availability/providers/{id}/slots', note: 'Query params: date, duration',
        request: 'GET /v1/DemoOffice/availability/providers/1/slots?date=2026-03-09&duration=30',
        examples: [{ title: 'Example Response', example: { data: { ProviderID: 1, Date: '2026-03-09', Duration: 30, Slots: ['09:00:00', '11:30:00', '14:00:00'], Count: 3 } } }],
      },
      {
        operation: 'GET /v1/{PPass}/availability/providers/{id}/next-slot', note: 'Query params: duration, maxDays (optional, default 365)',
        request: 'GET /v1/DemoOffice/availability/providers/1/next-slot?duration=30&maxDays=30',
        examples: [{
          title: 'Example Response',
          example: { data: { ProviderID: 1, Duration: 30, SearchWindowDays: 30, TheNextSlot: { ProviderID: '1', Date: '2026-03-10', Time: '09:00:00' } } },
        }],
      },
    ],
  },
  {
    id: 'visit-scheduling', title: 'Visit Scheduling', tag: 'Visit Scheduling', intro: ['Requires `Scheduling` scope.'],
    entries: [
      {
        operation: 'GET /v1/{PPass}/visit-types', note: 'Query params: includeInactive (optional, default false)', request: 'GET /v1/DemoOffice/visit-types',
        examples: [{ title: 'Example Response', example: { data: [{ VisitType: 'Consult', Active: true, Providers: [1, 2], Resources: [101, 102] }], count: 1 } }],
      },
      {
        operation: 'POST /v1/{PPass}/visits/book',
        note: 'Required: PatientID, ProviderID, VisitType, VisitDate, VisitTime, VisitDuration\n\nOptional: VisitComplaint, ProviderTime, ProviderDuration, VisitNotes',
        examples: [
          {
            title: 'Example Body',
            example: {
              PatientID: 1001, ProviderID: 2, VisitType: 'Consult', VisitDate: '2026-03-12', VisitTime: '10:00:00', VisitDuration: 30,
              VisitComplaint: 'Follow-up', ProviderTime: '10:00:00', ProviderDuration: 30, VisitNotes: 'Booked via API',
            },
          },
          {
            title: 'Example Response',
            example: {
              message: 'Visit booked successfully',
              data: {
                VisitID: 555, PatientID: 1001, ProviderID: 2, VisitType: 'Consult', VisitDate: '2026-03-12', VisitTime: '10:00:00', VisitDuration: 30,
                ProviderTime: '10:00:00', ProviderDuration: 30, RoomID: 102,
              },
            },
          },
        ],
      },
    ],
  },
  {
    id: 'products', title: 'Products (ProductPro)', tag: 'Products',
    intro: ['Requires `ProductPro.Products` scope. These endpoints are global (no `{PPass}` required).'],
    entries: [
      { operation: 'GET /v1/products', note: 'Searchable via search and vendorCode query params.' },
      {
        operation: 'POST /v1/products',
        examples: [{ title: 'Example Body', example: { products: [{ VendorCode: 'V001', ProductCode: 'P001', Product: 'Example Product', RetailPrice: 99.99 }] } }],
      },
    ],
  },
  {
    id: 'knowledge-base', title: 'Knowledge Base', tag: 'Knowledge Base', intro: ['Requires `KB` scope. These endpoints are global.'],
    entries: [
      { operation: 'GET /v1/kb', note: 'Searchable via search, category, and type query params.' },
      {
        operation: 'GET /v1/kb/{id}', request: 'GET /v1/kb/12',
        examples: [{
          title: 'Example Response',
          example: {
            data: { KBID: 12, Title: 'Insurance Verification Workflow', Article: 'Step-by-step process...', Category: 'Billing', Type: 'HowTo', Tags: 'insurance, verification', Active: true },
          },
        }],
      },
      { operation: 'PUT /v1/kb/{id}' },
    ],
  },
  {
    id: 'webhooks', title: 'Webhooks', tag: 'Webhooks', intro: ['Register a webhook endpoint for OfficePro events sourced from the log table.'],
    entries: [
      {
        operation: 'POST /v1/webhooks/signup',
        note: 'Creates or updates the authenticated client webhook subscription.\n\nAllowed scopes: Patients, Encounters, Claims, Payments, Documents\n\nDelivery uses incremental log_id polling and includes headers `X-OfficePro-Event` and `X-OfficePro-Event-Id`.',
        examples: [
          { title: 'Example Request', example: { hookUrl: 'https://partner.example.com/officepro/webhooks', scopes: ['Patients', 'Claims'] } },
          {
            title: 'Example Response',
            example: {
              message: 'Webhook subscription created successfully',
              data: { id: 1, hookUrl: 'https://partner.example.com/officepro/webhooks', scopes: ['Patients', 'Claims'], status: 'active' },
            },
          },
        ],
      },
      {
        operation: 'GET /v1/admin/webhooks/monitor',
        note: 'Admin monitoring endpoint for webhook health and delivery activity.\n\nRequires `X-Admin-Secret`. Optional query params: practicepass, success, limit, offset.',
        request: 'GET /v1/admin/webhooks/monitor?practicepass=DemoOffice&success=false&limit=50&offset=0',
        examples: [{
          title: 'Example Response',
          example: {
            summary: { totalSubscriptions: 3, activeSubscriptions: 2, totalDeliveries: 150, failedDeliveries: 4, successRate: 97.33 },
            dispatchStates: [{ practicepass: 'DemoOffice', lastLogId: 14656636 }], recentDeliveries: ['...'],
          },
        }],
      },
    ],
  },
  {
    id: 'tickets', title: 'Tickets', tag: 'Tickets', intro: ['Requires `Tickets` scope. These endpoints are tenant-specific.'],
    entries: [
      { operation: 'GET /v1/{PPass}/tickets' },
      { operation: 'GET /v1/{PPass}/ticket/{id}' },
      { operation: 'PUT /v1/{PPass}/ticket/{id}' },
      { operation: 'POST /v1/{PPass}/tickets/{id}/comment', examples: [{ title: 'Example Body', example: { Comment: 'This is a new comment', Author: 'Support Agent' } }] },
      {
        operation: 'POST /v1/admin/webhooks/retry/{id}', note: 'Admin endpoint to retry a specific webhook delivery record.\n\nRequires `X-Admin-Secret`.',
        request: 'POST /v1/admin/webhooks/retry/10',
        examples: [{
          title: 'Example Response',
          example: {
            message: 'Webhook delivery retried successfully',
            data: { sourceDeliveryId: 10, retryDeliveryId: 11, success: true, statusCode: 200, attempts: 1, errorMessage: null },
          },
        }],
      },
    ],
  },
  {
    id: 'my-information', title: 'My Information', tag: 'My Information', intro: ['Read and update your own partner information. Global endpoint.'],
    entries: [{ operation: 'GET /v1/me' }, { operation: 'PATCH /v1/me' }],
  },
  { id: 'administration', title: 'Administration', tag: 'Administration', intro: ['Requires `X-Admin-Secret`.'], entries: [] },
  { id: 'portal', title: 'Portal', tag: 'Portal', intro: ['Endpoints that the portal itself uses.'], entries: [] },
  { id: 'meta', title: 'Meta', tag: 'Meta', entries: [] },
];
