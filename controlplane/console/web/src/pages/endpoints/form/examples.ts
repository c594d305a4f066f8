/** What fields show while they are empty: values as they are typed, which are the same in every language. */
export const examples = {
  path: '/bria',
  target: 'https://engine.prod.bria-api.com',
  name: 'bria',
  keyHeader: 'x-my-key',
  service: 'bedrock',
  region: 'us-east-1',
  role: 'arn:aws:iam::123456789012:role/NAME',
  keyId: '${secret:aws-key-id}',
  secretKey: '${secret:aws-secret-key}',
  clientKey: '${secret:client-key}',
};
