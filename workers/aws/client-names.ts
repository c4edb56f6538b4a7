/** The clients of boto3 whose package of the SDK is called otherwise, which is by the id of the service. */
const RENAMED: { readonly [client: string]: string } = {
  alexaforbusiness: 'alexa-for-business',
  apigateway: 'api-gateway',
  'application-autoscaling': 'application-auto-scaling',
  appmesh: 'app-mesh',
  autoscaling: 'auto-scaling',
  'autoscaling-plans': 'auto-scaling-plans',
  ce: 'cost-explorer',
  cloudhsmv2: 'cloudhsm-v2',
  cloudsearchdomain: 'cloudsearch-domain',
  'cognito-idp': 'cognito-identity-provider',
  config: 'config-service',
  cur: 'cost-and-usage-report-service',
  datapipeline: 'data-pipeline',
  devicefarm: 'device-farm',
  directconnect: 'direct-connect',
  discovery: 'application-discovery-service',
  dms: 'database-migration-service',
  ds: 'directory-service',
  'ds-data': 'directory-service-data',
  dynamodbstreams: 'dynamodb-streams',
  elasticbeanstalk: 'elastic-beanstalk',
  elastictranscoder: 'elastic-transcoder',
  elb: 'elastic-load-balancing',
  elbv2: 'elastic-load-balancing-v2',
  es: 'elasticsearch-service',
  events: 'eventbridge',
  globalaccelerator: 'global-accelerator',
  'iot-data': 'iot-data-plane',
  'iot-jobs-data': 'iot-jobs-data-plane',
  'iot1click-devices': 'iot-1click-devices-service',
  'iot1click-projects': 'iot-1click-projects',
  iotevents: 'iot-events',
  'iotevents-data': 'iot-events-data',
  iotwireless: 'iot-wireless',
  kinesisanalytics: 'kinesis-analytics',
  kinesisanalyticsv2: 'kinesis-analytics-v2',
  kinesisvideo: 'kinesis-video',
  'lex-models': 'lex-model-building-service',
  'lex-runtime': 'lex-runtime-service',
  'lexv2-models': 'lex-models-v2',
  'lexv2-runtime': 'lex-runtime-v2',
  logs: 'cloudwatch-logs',
  machinelearning: 'machine-learning',
  'marketplace-entitlement': 'marketplace-entitlement-service',
  marketplacecommerceanalytics: 'marketplace-commerce-analytics',
  meteringmarketplace: 'marketplace-metering',
  mgh: 'migration-hub',
  resourcegroupstaggingapi: 'resource-groups-tagging-api',
  route53: 'route-53',
  route53domains: 'route-53-domains',
  s3control: 's3-control',
  sdb: 'simpledb',
  secretsmanager: 'secrets-manager',
  serverlessrepo: 'serverlessapplicationrepository',
  servicecatalog: 'service-catalog',
  'servicecatalog-appregistry': 'service-catalog-appregistry',
  'sms-voice': 'pinpoint-sms-voice',
  stepfunctions: 'sfn',
  storagegateway: 'storage-gateway',
}

const PREFIX = '@aws-sdk/client-'

/** The package of the SDK for a client of boto3; where none is known, the one of the same name. */
export function packageOf(client: string): string {
  return PREFIX + (Object.hasOwn(RENAMED, client) ? RENAMED[client] : client)
}

/** Every client that boto3 has. */
export function clientNames(): string[] {
  return [...Object.keys(RENAMED), ...SAME_NAMED.trim().split(/\s+/)]
}

/** The clients of boto3 whose package has their name. */
const SAME_NAMED = `
  accessanalyzer account account-access account-access-runtime acm acm-pca agent-registry
  agent-registry-control aiops amp amplify amplifybackend amplifyuibuilder apigatewaymanagementapi
  apigatewayv2 appconfig appconfigdata appfabric appflow appintegrations application-insights
  application-signals applicationcostprofiler apprunner appstream appsync arc-region-switch
  arc-zonal-shift artifact athena auditmanager b2bi backup backup-gateway backupsearch batch
  bcm-dashboards bcm-data-exports bcm-pricing-calculator bcm-recommended-actions bedrock
  bedrock-agent bedrock-agent-runtime bedrock-agentcore bedrock-agentcore-control
  bedrock-data-automation bedrock-data-automation-runtime bedrock-runtime billing billingconductor
  braket budgets chatbot chime chime-sdk-identity chime-sdk-media-pipelines chime-sdk-meetings
  chime-sdk-messaging chime-sdk-voice cleanrooms cleanroomsml cloud9 cloudcontrol clouddirectory
  cloudformation cloudfront cloudfront-keyvaluestore cloudhsm cloudsearch cloudtrail
  cloudtrail-data cloudwatch cloudwatchomni codeartifact codebuild codecatalyst codecommit
  codeconnections codedeploy codeguru-reviewer codeguru-security codeguruprofiler codepipeline
  codestar-connections codestar-notifications cognito-identity cognito-sync comprehend
  comprehendmedical compute-optimizer compute-optimizer-automation connect connect-contact-lens
  connectcampaigns connectcampaignsv2 connectcases connecthealth connectparticipant
  connectscheduling continuum controlcatalog controltower cost-optimization-hub customer-profiles
  databrew dataexchange datasync datazone dax deadline detective devops-agent devops-guru dlm
  docdb docdb-elastic drs dsql dynamodb ebs ec2 ec2-instance-connect ecr ecr-public ecs efs eks
  eks-auth elasticache elementalinference emr emr-containers emr-serverless endusermessaging
  entityresolution eventbridgev2 evs firehose fis fms forecast forecastquery frauddetector
  freetier fsx gamelift gameliftstreams geo-maps geo-places geo-routes glacier glue grafana
  greengrass greengrassv2 groundstation guardduty health healthlake iam iam-toolbox identitystore
  imagebuilder importexport inspector inspector-scan inspector2 interconnect internetmonitor
  invoicing iot iot-managed-integrations iotdeviceadvisor iotfleetwise iotsecuretunneling
  iotsitewise iotthingsgraph iottwinmaker ivs ivs-realtime ivschat kafka kafkaconnect kendra
  kendra-ranking keyspaces keyspacesstreams kinesis kinesis-video-archived-media
  kinesis-video-media kinesis-video-signaling kinesis-video-webrtc-storage kms lakeformation
  lambda lambda-core lambda-microvms lambda-web launch-wizard license-manager
  license-manager-linux-subscriptions license-manager-user-subscriptions lightsail location
  lookoutequipment m2 macie2 mailmanager managedblockchain managedblockchain-query
  marketplace-agreement marketplace-catalog marketplace-deployment marketplace-discovery
  marketplace-reporting mediaconnect mediaconvert medialive mediapackage mediapackage-vod
  mediapackagev2 mediastore mediastore-data mediatailor medical-imaging memorydb mgn
  migration-hub-refactor-spaces migrationhub-config migrationhuborchestrator migrationhubstrategy
  mpa mq mturk mwaa mwaa-serverless neptune neptune-graph neptunedata network-firewall
  network-security-manager networkflowmonitor networkmanager networkmonitor notifications
  notificationscontacts nova-act oam observabilityadmin odb omics opensearch opensearchmemory
  opensearchserverless organizations osis outposts partnercentral-account partnercentral-benefits
  partnercentral-channel partnercentral-revenue-measurement partnercentral-selling
  payment-cryptography payment-cryptography-data pca-connector-ad pca-connector-scep pcs
  personalize personalize-events personalize-runtime pi pinpoint pinpoint-email pinpoint-sms-voice
  pinpoint-sms-voice-v2 pipes polly pricing pricing-plan-manager proton qapps qbusiness qconnect
  quicksight ram rbin rds rds-data redshift redshift-data redshift-serverless rekognition
  repostspace resiliencehub resiliencehubv2 resource-explorer-2 resource-groups rolesanywhere
  route53-recovery-cluster route53-recovery-control-config route53-recovery-readiness
  route53globalresolver route53profiles route53resolver rtbfabric rum s3 s3files s3outposts
  s3tables s3vectors sagemaker sagemaker-a2i-runtime sagemaker-edge sagemaker-featurestore-runtime
  sagemaker-geospatial sagemaker-inference-router-runtime sagemaker-metrics sagemaker-runtime
  sagemakerjobruntime sagemakertrainingsessionruntime savingsplans scheduler schemas security-ir
  securityagent securityhub securitylake service-quotas servicediscovery ses sesv2 shield signer
  signer-data signin simpledbv2 snow-device-management snowball sns socialmessaging sqs ssm
  ssm-contacts ssm-guiconnect ssm-incidents ssm-quicksetup ssm-sap sso sso-admin sso-oidc sts
  supplychain support support-app supportauthz sustainability swf synthetics taxsettings textract
  timestream-influxdb timestream-query timestream-write transcribe transfer translate
  trustedadvisor uxc verifiedpermissions voice-id vpc-lattice waf waf-regional wafv2
  wellarchitected wickr wisdom workdocs workmail workmailmessageflow workspaces
  workspaces-instances workspaces-thin-client workspaces-web xray
`
