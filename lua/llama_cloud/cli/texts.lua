--- What the command line says of each command and flag, and which fields answers have. Made by scripts/flags.lua of
--- the annotations of the resources: change those.

return {
  commands = {
    ["batches.cancel"] = {
      text = "Asks to stop a batch. It answers at once; the status becomes CANCELLED when processing has stopped.",
      answer = "Batch",
    },
    ["batches.create"] = {
      text = "Starts a batch over the files of a directory.",
      answer = "Batch",
      flags = {
        source_directory_id = "the directory whose files are processed, at most 1,000",
      },
    },
    ["batches.get"] = {
      text = "Gets one batch.",
      answer = "Batch",
      flags = {
        expand = '"results" is the one value that the service knows',
      },
    },
    ["batches.list"] = {
      text = "Lists the batches of the project; results is not part of them.",
      answer = "Batch",
      flags = {
        page_token = "where to continue",
        status = "PENDING, THROTTLED, RUNNING, COMPLETED, FAILED, CANCELLED",
      },
    },
    ["beta.attachments.get"] = {
      text = "Gets the address from which an attachment can be downloaded.",
      answer = "PresignedURL",
      flags = {
        source_id = "a file's id, or that of a directory's file (dfl-…)",
      },
    },
    ["beta.attachments.list"] = {
      text = "Lists the attachments of a file.",
      answer = "Attachment",
      flags = {
        source_id = "a file's id, or that of a directory's file (dfl-…)",
        page_token = "where to continue",
      },
    },
    ["beta.batch.cancel"] = {
      text = "Asks to stop a job.",
      answer = "BatchJobCancelled",
      flags = {
        temporal_namespace = "sent as a header",
      },
    },
    ["beta.batch.create"] = {
      text = "Starts a job over a directory or over items.",
      answer = "BatchJob",
      flags = {
        temporal_namespace = "sent as a header",
        job_config = "a parse job's or a classify job's configuration",
        directory_id = "either this or --item-ids",
        page_size = "from 1 to 1000, 100 by default",
      },
    },
    ["beta.batch.get_status"] = {
      text = "Gets one job and how far it is.",
      answer = "BatchJobProgress",
    },
    ["beta.batch.list"] = {
      text = "Lists the jobs of the project.",
      answer = "BatchJob",
      flags = {
        job_type = "parse, extract, classify",
        limit = "items per page, from 1 to 1000; the service's default is 50",
        offset = "where to begin",
        status = "pending, running, dispatched, completed, failed, cancelled",
      },
    },
    ["beta.batch.job_items.get_processing_results"] = {
      text = "Gets what processing produced for one item.",
      answer = "ProcessingResults",
      flags = {
        job_type = "parse, extract, classify",
      },
    },
    ["beta.batch.job_items.list"] = {
      text = "Lists the items of a job.",
      answer = "BatchJobItem",
      flags = {
        limit = "items per page, from 1 to 1000; the service's default is 100",
        offset = "where to begin",
        status = "pending, processing, completed, failed, skipped, cancelled",
      },
    },
    ["beta.directories.create"] = {
      text = "Makes a directory.",
      answer = "Directory",
      flags = {
        name = "not empty",
        type = 'user, ephemeral: "user" by default',
      },
    },
    ["beta.directories.delete"] = {
      text = "Deletes a directory.",
    },
    ["beta.directories.get"] = {
      text = "Gets one directory.",
      answer = "Directory",
    },
    ["beta.directories.list"] = {
      text = "Lists the directories of the project.",
      answer = "Directory",
      flags = {
        type = "user, index, ephemeral",
        types = "user, index, ephemeral: any of these",
        page_token = "where to continue",
      },
    },
    ["beta.directories.update"] = {
      text = "Changes a directory's name or description.",
      answer = "Directory",
      flags = {
        description = "--body '{\"description\": null}' removes it",
      },
    },
    ["beta.directories.files.add"] = {
      text = "Puts a file that the service has into a directory.",
      answer = "DirectoryFile",
      flags = {
        display_name = "the file's name by default",
        unique_id = "the file's external_file_id or name by default",
      },
    },
    ["beta.directories.files.delete"] = {
      text = "Takes a file out of a directory.",
    },
    ["beta.directories.files.get"] = {
      text = "Gets one file of a directory.",
      answer = "DirectoryFile",
      flags = {
        expand = '"download_url", "metadata"',
      },
    },
    ["beta.directories.files.list"] = {
      text = "Lists the files of a directory.",
      answer = "DirectoryFile",
      flags = {
        display_name = "exactly this",
        expand = '"download_url", "metadata"',
        page_token = "where to continue",
      },
    },
    ["beta.directories.files.update"] = {
      text = "Changes a file of a directory, or moves it to another directory.",
      answer = "DirectoryFile",
      flags = {
        metadata = "replaces the metadata that the user had set",
        target_directory_id = "moves the file there",
      },
    },
    ["beta.directories.files.upload"] = {
      text = "Uploads a file into a directory.",
      answer = "DirectoryFile",
      flags = {
        display_name = "the file's name by default",
        unique_id = "--external-file-id or the file's name by default",
      },
    },
    ["beta.split.create"] = {
      text = "Starts a job.",
      answer = "BetaSplitJob",
      flags = {
        configuration = "either this or --configuration-id",
      },
    },
    ["beta.split.get"] = {
      text = "Gets one job, with its result once there is one.",
      answer = "BetaSplitJob",
    },
    ["beta.split.list"] = {
      text = "Lists the jobs of the project.",
      answer = "BetaSplitJob",
      flags = {
        status = "pending, processing, completed, failed, cancelled",
        page_token = "where to continue",
      },
    },
    ["classify.cancel"] = {
      text = "Asks to stop a job.",
      answer = "ClassifyJob",
    },
    ["classify.create"] = {
      text = "Starts a job. It carries a --transaction-id, so that it is sent again after a lost answer without making a second job.",
      answer = "ClassifyJob",
      flags = {
        file_input = "a file's id, that of a directory's file (dfl-…), or a completed parse job's (pjb-…)",
        configuration = "either this or --configuration-id",
        transaction_id = "there is only one job for it in a project; generated if it is not given",
        file_id = "the service prefers --file-input",
        parse_job_id = "the service prefers --file-input",
      },
    },
    ["classify.delete"] = {
      text = "Deletes a job that has ended. Returns true if an earlier attempt, whose answer was lost, deleted it.",
      answer = "ClassifyJobDeleted",
    },
    ["classify.get"] = {
      text = "Gets one job, with its result once there is one.",
      answer = "ClassifyJob",
    },
    ["classify.list"] = {
      text = "Lists the jobs of the project.",
      answer = "ClassifyJob",
      flags = {
        status = "PENDING, RUNNING, COMPLETED, FAILED, CANCELLED",
        page_token = "where to continue",
      },
    },
    ["configurations.create"] = {
      text = "Saves a configuration; it replaces one of the same name and product type, so repeating it is harmless.",
      answer = "Configuration",
      flags = {
        name = "one of this name and product type is replaced",
      },
    },
    ["configurations.delete"] = {
      text = "Deletes a configuration.",
    },
    ["configurations.list"] = {
      text = "Lists the configurations of the project.",
      answer = "Configuration",
      flags = {
        product_type = "parse_v2, extract_v2, classify_v2, split_v1, spreadsheet_v1, unknown: any of these",
        page_token = "where to continue",
      },
    },
    ["configurations.retrieve"] = {
      text = "Gets one configuration.",
      answer = "Configuration",
    },
    ["configurations.update"] = {
      text = "Changes a configuration.",
      answer = "Configuration",
    },
    ["extract.cancel"] = {
      text = "Asks to stop a job.",
      answer = "ExtractJob",
    },
    ["extract.create"] = {
      text = "Starts a job.",
      answer = "ExtractJob",
      flags = {
        file_input = "a file's id, that of a directory's file (dfl-…), or a completed parse job's (pjb-…)",
        configuration = "either this or --configuration-id",
      },
    },
    ["extract.delete"] = {
      text = "Deletes a job and its result.",
    },
    ["extract.generate_schema"] = {
      text = "Makes a schema out of a document, a prompt or another schema.",
      answer = "ExtractSchemaConfiguration",
      flags = {
        data_schema = "to begin with",
        file_id = "a document of the kind",
      },
    },
    ["extract.get"] = {
      text = "Gets one job, with its result once there is one.",
      answer = "ExtractJob",
      flags = {
        expand = '"configuration", "extract_metadata", "usage"',
      },
    },
    ["extract.list"] = {
      text = "Lists the jobs of the project.",
      answer = "ExtractJob",
      flags = {
        document_input_value = "the service prefers --file-input",
        expand = '"configuration", "extract_metadata"',
        status = "PENDING, THROTTLED, RUNNING, COMPLETED, FAILED, CANCELLED",
        page_token = "where to continue",
      },
    },
    ["extract.validate_schema"] = {
      text = "Checks a schema, and gives it as Extract takes it. It belongs to no project.",
      answer = "ExtractSchema",
      flags = {
        data_schema = "a JSON schema",
      },
    },
    ["files.content"] = {
      text = "Gets the address from which a file can be downloaded.",
      answer = "PresignedURL",
      flags = {
        expires_at_seconds = "how long the address is to be good for",
      },
    },
    ["files.create"] = {
      text = "Uploads a file.",
      answer = "File",
      flags = {
        purpose = "user_data, parse, extract, classify, split, sheet, agent_app",
      },
    },
    ["files.delete"] = {
      text = "Deletes a file.",
    },
    ["files.list"] = {
      text = "Lists the files of the project.",
      answer = "File",
      flags = {
        expand = '"download_url"',
        order_by = "name, id, created_at: created_at begins with the newest",
        page_size = "50 by default, at most 1000",
        page_token = "where to continue",
      },
    },
    ["files.retrieve"] = {
      text = "Gets what the service knows about a file.",
      answer = "File",
      flags = {
        expand = '"download_url"',
      },
    },
    ["parsing.cancel"] = {
      text = "Asks to stop a job.",
      answer = "ParseJob",
    },
    ["parsing.create"] = {
      text = "Starts a job over a file that the service has, over an address, or over a file that is uploaded with it.",
      answer = "ParseJob",
      flags = {
        tier = "fast, cost_effective, agentic, agentic_plus: needed where there is no --configuration-id",
        version = 'needed where there is no --configuration-id: "latest", or one of list-versions',
        configuration_id = "a saved configuration, or a preset such as cfg-PARSE_AGENTIC; --tier and --version may be absent then",
        http_proxy = "through which the service fetches --source-url",
        upload_file = "give one of --upload-file, --file-id and --source-url",
      },
    },
    ["parsing.delete"] = {
      text = "Deletes a job that has ended, and its result. Returns true if an earlier attempt, whose answer was lost, deleted it.",
      answer = "ParseJobDeleted",
    },
    ["parsing.get"] = {
      text = "Gets one job, and of its result what --expand names.",
      answer = "ParseResult",
      flags = {
        expand = "text, text_full, markdown, markdown_full, items, metadata, forms, job_metadata, usage, images_content_metadata, text_content_metadata, text_full_content_metadata, markdown_content_metadata, markdown_full_content_metadata, items_content_metadata, metadata_content_metadata, forms_content_metadata, raw_words_content_metadata, xlsx_content_metadata, output_pdf_content_metadata, stripped_markdown_content_metadata, concatenated_stripped_markdown_content_metadata",
        image_filenames = 'with "images_content_metadata": only these, separated by commas',
      },
    },
    ["parsing.list"] = {
      text = "Lists the jobs of the project, without their results.",
      answer = "ParseJob",
      flags = {
        status = "PENDING, RUNNING, COMPLETED, FAILED, CANCELLED",
        page_token = "where to continue",
      },
    },
    ["parsing.list_versions"] = {
      text = "Gets the versions that each tier has.",
      answer = "ParseVersions",
    },
    ["projects.get"] = {
      text = "Gets one project.",
      answer = "Project",
    },
    ["projects.list"] = {
      text = "Gets all projects that the key may see.",
      answer = "Project",
    },
    ["split.cancel"] = {
      text = "Asks to stop a job. It answers at once; the status becomes cancelled when processing has stopped.",
      answer = "SplitJob",
    },
    ["split.create"] = {
      text = "Starts a job. It carries a --transaction-id, so that it is sent again after a lost answer without making a second job.",
      answer = "SplitJob",
      flags = {
        file_input = "a file's id, that of a directory's file (dfl-…), or a completed parse job's (pjb-…)",
        configuration = "either this or --configuration-id",
        transaction_id = "there is only one job for it in a project; generated if it is not given",
      },
    },
    ["split.delete"] = {
      text = "Deletes a job.",
    },
    ["split.get"] = {
      text = "Gets one job, with its result once there is one.",
      answer = "SplitJob",
    },
    ["split.list"] = {
      text = "Lists the jobs of the project.",
      answer = "SplitJob",
      flags = {
        status = "pending, processing, completed, failed, cancelled",
        page_token = "where to continue",
      },
    },
    ["v2_projects.get"] = {
      text = "Gets one project.",
      answer = "Project",
    },
    ["v2_projects.list"] = {
      text = "Lists the projects of an organization.",
      answer = "Project",
      flags = {
        organization_id = "needed where the key is not one of a project",
        page_token = "where to continue",
      },
    },
    ["webhook_configs.create"] = {
      text = "Stores a configuration. Events go to each of them, so if two are the same every delivery comes twice.",
      answer = "WebhookConfig",
      flags = {
        webhook_events = "all by default",
        webhook_headers = "sent with each delivery",
        webhook_output_format = 'string, json: "string" by default',
        webhook_signing_secret = "deliveries are signed with it",
      },
    },
    ["webhook_configs.delete"] = {
      text = "Deletes a configuration.",
    },
    ["webhook_configs.list"] = {
      text = "Gets all configurations of the project, the newest first. The service prefers list-v2.",
      answer = "WebhookConfig",
    },
    ["webhook_configs.list_v2"] = {
      text = "Lists the configurations of the project by pages, the newest first.",
      answer = "WebhookConfig",
      flags = {
        include_total = "whether pages are to tell total_size",
        page_token = "where to continue",
      },
    },
    ["webhook_configs.retrieve"] = {
      text = "Gets one configuration.",
      answer = "WebhookConfig",
    },
    ["webhook_configs.update"] = {
      text = "Changes a configuration.",
      answer = "WebhookConfig",
      flags = {
        webhook_output_format = "string, json",
      },
    },
  },
  groups = {
    batches = "v2 batches: one product job for each file of a directory.",
    ["beta.attachments"] = "What the service has made of a file, such as screenshots of its pages.",
    ["beta.batch"] = "v1 batch jobs: parse, extract or classify jobs over a directory or a set of items.",
    ["beta.batch.job_items"] = "The items of v1 batch jobs, and what came of each.",
    ["beta.directories"] = "Directories of files: what a batch is made over.",
    ["beta.directories.files"] = "The files of a directory.",
    ["beta.split"] = "Split jobs as they were before the command split, which can do more.",
    classify = "Classify jobs: which of several types a file has.",
    configurations = "Saved configurations of the products: what batches and jobs name by configuration_id.",
    extract = "Extract jobs: data out of a file, by a JSON schema.",
    files = "Files that the service keeps.",
    parsing = "Parse jobs: text, markdown, items and images out of a file.",
    projects = "Projects, as an array.",
    split = "Split jobs: which pages of a file form a document of their own, and its category.",
    v2_projects = "Projects, by pages.",
    webhook_configs = "Stored webhook configurations: what batches and jobs name by webhook_configuration_ids.",
  },
  answers = {
    Attachment = "name size last_modified",
    Batch = "id project_id source_directory_id config status created_at updated_at results",
    BatchJob = "id job_type project_id status total_items processed_items failed_items skipped_items directory_id workflow_id job_record_id error_message created_at updated_at started_at completed_at effective_at",
    BatchJobCancelled = "job_id status processed_items message",
    BatchJobItem = "item_id item_name status job_id job_record_id skip_reason error_message started_at completed_at effective_at",
    BatchJobProgress = "job progress_percentage",
    BetaSplitJob = "id categories document_input project_id user_id status configuration_id created_at updated_at error_message result",
    ClassifyJob = "id configuration document_input_type file_input project_id user_id status configuration_id created_at updated_at error_message parse_job_id result transaction_id",
    ClassifyJobDeleted = "id project_id",
    Configuration = "id name product_type version parameters created_at updated_at",
    Directory = "id name project_id type description connector_subscription_id system_metadata created_at updated_at deleted_at expires_at",
    DirectoryFile = "id directory_id project_id unique_id display_name file_id download_url metadata created_at updated_at deleted_at",
    ExtractJob = "id file_input project_id status created_at updated_at configuration configuration_id error_message extract_result extract_metadata metadata usage",
    ExtractSchema = "data_schema",
    ExtractSchemaConfiguration = "name parameters",
    File = "id name project_id purpose external_file_id file_type expires_at last_modified_at download_url",
    ParseJob = "id project_id status name tier error_message created_at updated_at usage user_metadata",
    ParseJobDeleted = "id project_id",
    ParseResult = "job text text_full markdown markdown_full items metadata forms job_metadata raw_parameters images_content_metadata result_content_metadata",
    ParseVersions = "fast cost_effective agentic agentic_plus latest",
    PresignedURL = "url expires_at form_fields",
    ProcessingResults = "item_id item_name processing_results",
    Project = "id name organization_id is_default created_at updated_at",
    SplitJob = "id categories document_input_type file_input project_id user_id status configuration_id created_at updated_at error_message result splitting_strategy parse_tier parse_config_id target_pages transaction_id",
    WebhookConfig = "id webhook_url has_secret tenant_id tenant_type webhook_events webhook_headers webhook_output_format created_at updated_at",
  },
}
