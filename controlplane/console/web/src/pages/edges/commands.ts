// The command by which an edge joins, for the ways in which people run things.

export interface Command {
  id: 'binary' | 'docker' | 'systemd' | 'kubernetes';
  text: string;
}

/** The ways to run what the server says, `tollgate serve edge --join … --token …`. */
export function commandsOf(command: string): Command[] {
  const args = command.replace(/^\S*tollgate\s+/, '');
  const list = args.split(/\s+/).map((a) => a.replace(/^'(.*)'$/, '$1'));
  return [
    { id: 'binary', text: command },
    { id: 'docker', text: `docker run -d --name tollgate-edge --restart unless-stopped \\\n  -p 4000:4000 -v tollgate-edge:/data tollgate \\\n  ${args}` },
    {
      id: 'systemd',
      text: [
        '# /etc/systemd/system/tollgate-edge.service',
        '[Unit]',
        'Description=Tollgate edge',
        'After=network-online.target',
        'Wants=network-online.target',
        '',
        '[Service]',
        `ExecStart=/usr/local/bin/tollgate ${args.replaceAll('%', '%%')}`,
        'StateDirectory=tollgate-edge',
        'WorkingDirectory=/var/lib/tollgate-edge',
        'DynamicUser=yes',
        'Restart=always',
        '',
        '[Install]',
        'WantedBy=multi-user.target',
      ].join('\n'),
    },
    {
      id: 'kubernetes',
      text: [
        'apiVersion: apps/v1',
        'kind: StatefulSet',
        'metadata: { name: tollgate-edge }',
        'spec:',
        '  serviceName: tollgate-edge',
        '  replicas: 1',
        '  selector: { matchLabels: { app: tollgate-edge } }',
        '  template:',
        '    metadata: { labels: { app: tollgate-edge } }',
        '    spec:',
        '      containers:',
        '        - name: edge',
        '          image: tollgate',
        `          args: ${JSON.stringify(list)}`,
        '          ports: [{ containerPort: 4000 }]',
        '          volumeMounts: [{ name: data, mountPath: /data }]',
        '  volumeClaimTemplates:',
        '    - metadata: { name: data }',
        '      spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 10Gi } } }',
      ].join('\n'),
    },
  ];
}
