/** The sections of the reference, which everybody sees; they are checked once, for anybody. */
const DOCS = ['authentication', 'prospects', 'tags', 'providers', 'visit-scheduling', 'products', 'knowledge-base', 'webhooks', 'tickets', 'my-information', 'meta'].map((id) => [`/docs/${id}`, 'API Documentation']);

/** Every page with its heading, by audience. */
export const PUBLIC = [['/', 'Partner Portal Login'], ['/request-access', 'Request access'], ['/claim', 'This link is not valid'], ['claim=arq_x.y', 'Claim your API key'], ['/docs', 'API Documentation'], ...DOCS];
export const ADMIN = [
  ['/admin', 'Dashboard Overview'], ['/admin/partners', 'Partners'], ['/admin/keys', 'API Keys'], ['/admin/access-requests', 'API Access Requests'],
  ['/admin/activity', 'Recent Activity'], ['/admin/webhooks', 'Webhook Monitor'], ['/admin/audit', 'Audit Log'], ['/docs', 'API Documentation'], ['/docs/administration', 'API Documentation'],
];
export const PARTNER = [['/docs', 'API Documentation'], ['/usage', 'Usage'], ['/webhooks', 'Webhooks'], ['/key', 'My API Key'], ['/me', 'My Information'], ['/nowhere', 'Page not found']];
