---@meta _
--- Types of parsing.lua: what a parse job is asked for, and what comes of it. Editors read this file; nothing loads it.

---@class LlamaCloud.ParseOptions
---@field tier? LlamaCloud.ParseTier needed where there is no configuration_id
---@field version? string needed where there is no configuration_id: "latest", or one of list_versions
---@field agentic_options? { custom_prompt?: string }
---@field client_name? string
---@field crop_box? LlamaCloud.ParseCropBox
---@field disable_cache? boolean
---@field fast_options? table
---@field input_options? LlamaCloud.ParseInputOptions
---@field output_options? LlamaCloud.ParseOutputOptions
---@field page_ranges? LlamaCloud.ParsePageRanges
---@field processing_control? LlamaCloud.ParseProcessingControl
---@field processing_options? LlamaCloud.ParseProcessingOptions
---@field webhook_configuration_ids? string|string[]
---@field webhook_configurations? LlamaCloud.WebhookConfiguration[]

---@class LlamaCloud.ParseCropBox how much is cut off at each side, as a share of the page from 0 to 1
---@field top? number
---@field bottom? number
---@field left? number
---@field right? number

---@class LlamaCloud.ParsePageRanges
---@field max_pages? integer
---@field target_pages? string such as "1,3,5-8", each once; the first page is 1. It takes precedence over max_pages

---@class LlamaCloud.ParseInputOptions
---@field html? LlamaCloud.ParseHtmlOptions
---@field image? { camera_photo_correction?: boolean }
---@field pdf? table
---@field presentation? LlamaCloud.ParsePresentationOptions
---@field spreadsheet? LlamaCloud.ParseSpreadsheetOptions

---@class LlamaCloud.ParseHtmlOptions
---@field make_all_elements_visible? boolean
---@field remove_fixed_elements? boolean
---@field remove_navigation_elements? boolean

---@class LlamaCloud.ParsePresentationOptions
---@field include_hidden_slides? boolean
---@field out_of_bounds_content? boolean
---@field skip_embedded_data? boolean

---@class LlamaCloud.ParseSpreadsheetOptions
---@field detect_sub_tables_in_sheets? boolean
---@field force_formula_computation_in_sheets? boolean
---@field include_hidden_sheets? boolean

---@class LlamaCloud.ParseOutputOptions
---@field additional_outputs? ("stripped_md"|"concatenated_stripped_txt"|"word_bbox"|string)[]
---@field extract_printed_page_number? boolean
---@field granular_bboxes? ("word"|"line"|"cell"|string)[]
---@field images_to_save? ("screenshot"|"embedded"|"layout"|string)[] name what you need; llama_cloud.array {}: none
---@field markdown? LlamaCloud.ParseMarkdownOptions
---@field save_output_pdf? boolean
---@field spatial_text? LlamaCloud.ParseSpatialTextOptions
---@field tables_as_spreadsheet? { enable?: boolean, guess_sheet_name?: boolean }
---@field watermark_handling? "move_to_end"|"move_to_start"|"remove"|string

---@class LlamaCloud.ParseMarkdownOptions
---@field annotate_line_numbers? boolean
---@field annotate_links? boolean
---@field annotate_revisions? boolean
---@field inline_images? boolean
---@field tables? LlamaCloud.ParseMarkdownTableOptions

---@class LlamaCloud.ParseMarkdownTableOptions
---@field compact_markdown_tables? boolean
---@field markdown_table_multiline_separator? string
---@field merge_continued_tables? boolean
---@field output_tables_as_markdown? boolean

---@class LlamaCloud.ParseSpatialTextOptions
---@field do_not_unroll_columns? boolean
---@field preserve_layout_alignment_across_pages? boolean
---@field preserve_very_small_text? boolean

---@class LlamaCloud.ParseProcessingControl
---@field job_failure_conditions? LlamaCloud.ParseFailureConditions
---@field timeouts? LlamaCloud.ParseTimeouts

---@class LlamaCloud.ParseFailureConditions
---@field allowed_page_failure_ratio? number from 0 to 1; 0.05 by default
---@field fail_on_buggy_font? boolean
---@field fail_on_image_extraction_error? boolean
---@field fail_on_image_ocr_error? boolean
---@field fail_on_markdown_reconstruction_error? boolean

---@class LlamaCloud.ParseTimeouts
---@field base_in_seconds? integer at most 7200
---@field extra_time_per_page_in_seconds? integer at most 300

---@class LlamaCloud.ParseProcessingOptions
---@field aggressive_table_extraction? boolean
---@field auto_mode_configuration? LlamaCloud.ParseAutoModeRule[]
---@field confidence_score_effort? "high"|string costs more credits for each page
---@field cost_optimizer? { enable?: boolean }
---@field disable_heuristics? boolean
---@field forms? "default"|"enrich"|string "enrich": the result can be expanded by its forms
---@field ignore? LlamaCloud.ParseIgnoreOptions
---@field ocr_parameters? { languages?: string[] }
---@field specialized_chart_parsing? LlamaCloud.ParseChartParsing

---@alias LlamaCloud.ParseChartParsing "efficient"|"agentic"|"agentic_plus"|string

---@class LlamaCloud.ParseIgnoreOptions
---@field ignore_diagonal_text? boolean
---@field ignore_hidden_text? boolean
---@field ignore_text_in_image? boolean

---@class LlamaCloud.ParseAutoModeRule pages that meet what it names are parsed by parsing_conf
---@field parsing_conf LlamaCloud.ParseAutoModeConf
---@field filename_match_glob? string
---@field filename_match_glob_list? string[]
---@field filename_regexp? string
---@field filename_regexp_mode? string
---@field full_page_image_in_page? boolean
---@field full_page_image_in_page_threshold? number|string
---@field image_in_page? boolean
---@field layout_element_in_page? string
---@field layout_element_in_page_confidence_threshold? number|string
---@field page_contains_at_least_n_charts? integer|string
---@field page_contains_at_least_n_images? integer|string
---@field page_contains_at_least_n_layout_elements? integer|string
---@field page_contains_at_least_n_lines? integer|string
---@field page_contains_at_least_n_links? integer|string
---@field page_contains_at_least_n_numbers? integer|string
---@field page_contains_at_least_n_percent_numbers? integer|string
---@field page_contains_at_least_n_tables? integer|string
---@field page_contains_at_least_n_words? integer|string
---@field page_contains_at_most_n_charts? integer|string
---@field page_contains_at_most_n_images? integer|string
---@field page_contains_at_most_n_layout_elements? integer|string
---@field page_contains_at_most_n_lines? integer|string
---@field page_contains_at_most_n_links? integer|string
---@field page_contains_at_most_n_numbers? integer|string
---@field page_contains_at_most_n_percent_numbers? integer|string
---@field page_contains_at_most_n_tables? integer|string
---@field page_contains_at_most_n_words? integer|string
---@field page_longer_than_n_chars? integer|string
---@field page_md_error? boolean
---@field page_shorter_than_n_chars? integer|string
---@field regexp_in_page? string
---@field regexp_in_page_mode? string
---@field table_in_page? boolean
---@field text_in_page? string
---@field trigger_mode? string whether any of them or all of them are to be met

---@class LlamaCloud.ParseAutoModeConf
---@field adaptive_long_table? boolean
---@field aggressive_table_extraction? boolean
---@field crop_box? LlamaCloud.ParseCropBox
---@field custom_prompt? string
---@field extract_layout? boolean
---@field high_res_ocr? boolean
---@field ignore? LlamaCloud.ParseIgnoreOptions
---@field language? string
---@field outlined_table_extraction? boolean
---@field presentation? LlamaCloud.ParsePresentationOptions
---@field spatial_text? LlamaCloud.ParseSpatialTextOptions
---@field specialized_chart_parsing? LlamaCloud.ParseChartParsing
---@field tier? LlamaCloud.ParseTier
---@field version? string

--- What the answer is to hold beside the job. Those that end in `_content_metadata` give addresses instead of contents:
--- images in `images_content_metadata`, all others in `result_content_metadata`.
---@alias LlamaCloud.ParseExpand
---| "text"
---| "text_full"
---| "markdown" # not of the tier fast
---| "markdown_full" # likewise
---| "items" # likewise
---| "metadata"
---| "forms" # where the job has processing_options.forms = "enrich"
---| "job_metadata"
---| "usage" # in job.usage
---| "images_content_metadata" # where the job has output_options.images_to_save
---| "text_content_metadata"
---| "text_full_content_metadata"
---| "markdown_content_metadata"
---| "markdown_full_content_metadata"
---| "items_content_metadata"
---| "metadata_content_metadata"
---| "forms_content_metadata"
---| "raw_words_content_metadata"
---| "xlsx_content_metadata" # where the job has output_options.tables_as_spreadsheet
---| "output_pdf_content_metadata" # where the job has output_options.save_output_pdf
---| "stripped_markdown_content_metadata"
---| "concatenated_stripped_markdown_content_metadata"
---| string

---@class LlamaCloud.ParseResult a job, and what `expand` has asked for
---@field job LlamaCloud.ParseJob
---@field text? { pages: LlamaCloud.ParseTextPage[] }
---@field text_full? string
---@field markdown? { pages: (LlamaCloud.ParseMarkdownPage|LlamaCloud.ParseFailedPage)[] }
---@field markdown_full? string
---@field items? { pages: (LlamaCloud.ParseItemsPage|LlamaCloud.ParseFailedPage)[] }
---@field metadata? LlamaCloud.ParseMetadata
---@field forms? { pages: (LlamaCloud.ParseFormsPage|LlamaCloud.ParseFailedPage)[] }
---@field job_metadata? table<string, any>
---@field raw_parameters? table<string, any>
---@field images_content_metadata? LlamaCloud.ParseImages
---@field result_content_metadata? table<string, LlamaCloud.ParseContentMetadata> its keys are not the values of expand

---@class LlamaCloud.ParseFailedPage a page that failed in a job that has not: look at `success` of each page
---@field page_number integer
---@field success false
---@field error string

---@class LlamaCloud.ParseTextPage
---@field page_number integer
---@field text string

---@class LlamaCloud.ParseMarkdownPage
---@field page_number integer
---@field success true
---@field markdown string
---@field header? string
---@field footer? string
---@field line_numbers? LlamaCloud.ParseLineNumber[]

---@class LlamaCloud.ParseLineNumber
---@field line_number string
---@field start_index integer in UTF-16 code units, into the page's markdown
---@field end_index integer likewise

---@class LlamaCloud.ParseItemsPage
---@field page_number integer
---@field page_width number points
---@field page_height number points
---@field success true
---@field items LlamaCloud.ParseItem[]
---@field revisions? LlamaCloud.ParseRevision[]

--- A part of a page; `type` tells which.
---@alias LlamaCloud.ParseItem
---| LlamaCloud.ParseTextItem
---| LlamaCloud.ParseHeadingItem
---| LlamaCloud.ParseListItem
---| LlamaCloud.ParseTableItem
---| LlamaCloud.ParseImageItem
---| LlamaCloud.ParseCodeItem
---| LlamaCloud.ParseLinkItem
---| LlamaCloud.ParseHeaderItem
---| LlamaCloud.ParseFooterItem

---@class LlamaCloud.ParseTextItem
---@field type "text"
---@field value string
---@field md string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseHeadingItem
---@field type "heading"
---@field level integer from 1 to 6
---@field value string
---@field md string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseListItem
---@field type "list"
---@field ordered boolean
---@field items (LlamaCloud.ParseTextItem|LlamaCloud.ParseListItem)[]
---@field md string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseTableItem
---@field type "table"
---@field rows (string|number|userdata)[][] an empty cell is llama_cloud.null
---@field csv string
---@field html string
---@field md string
---@field bbox? LlamaCloud.BBox[]
---@field merged_from_pages? integer[]
---@field merged_into_page? integer
---@field parse_concerns? { type: string, details: string }[]

---@class LlamaCloud.ParseImageItem
---@field type "image"
---@field caption string
---@field url string
---@field md string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseCodeItem
---@field type "code"
---@field value string
---@field language? string
---@field md string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseLinkItem
---@field type "link"
---@field text string
---@field url string
---@field md string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseHeaderItem
---@field type "header"
---@field items LlamaCloud.ParseItem[] neither headers nor footers
---@field md string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseFooterItem
---@field type "footer"
---@field items LlamaCloud.ParseItem[] neither headers nor footers
---@field md string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.Rectangle in points
---@field x number
---@field y number
---@field w number
---@field h number

---@class LlamaCloud.BBox: LlamaCloud.Rectangle
---@field confidence? number
---@field label? string
---@field start_index? integer
---@field end_index? integer
---@field r? number

---@class LlamaCloud.ParseRevision a change or comment that the document keeps
---@field type "comment"|"deleted"|"formatted"|"inserted"|"moved_from"|"moved_to"|string
---@field content string
---@field target string
---@field revision_bbox LlamaCloud.Rectangle
---@field target_bbox LlamaCloud.Rectangle
---@field author? string
---@field start_index? integer
---@field end_index? integer
---@field target_spans? LlamaCloud.ParseRevisionSpan[]

---@class LlamaCloud.ParseRevisionSpan
---@field target string
---@field target_bbox LlamaCloud.Rectangle
---@field start_index? integer
---@field end_index? integer

---@class LlamaCloud.ParseMetadata
---@field pages LlamaCloud.ParsePageMetadata[]
---@field document? LlamaCloud.ParseDocumentMetadata

---@class LlamaCloud.ParsePageMetadata
---@field page_number integer
---@field confidence? number
---@field cost_optimized? boolean
---@field original_orientation_angle? number
---@field printed_page_number? string
---@field slide_section_name? string
---@field speaker_notes? string
---@field triggered_auto_mode? boolean

---@class LlamaCloud.ParseDocumentMetadata
---@field confidence? number
---@field confidence_breakdown? { min_page_score: number, scored_pages: integer, total_pages: integer }

---@class LlamaCloud.ParseFormsPage
---@field page_number integer
---@field success true
---@field forms LlamaCloud.ParseForm[]
---@field page_width? number
---@field page_height? number

---@class LlamaCloud.ParseForm
---@field json LlamaCloud.ParseFormNode[]
---@field list LlamaCloud.ParseFormList

--- A part of a form; `type` tells which. Sections, tables and fields may hold others, to any depth.
---@alias LlamaCloud.ParseFormNode
---| LlamaCloud.ParseFormField
---| LlamaCloud.ParseFormSection
---| LlamaCloud.ParseFormTable

---@class LlamaCloud.ParseFormField
---@field type "field"
---@field field "text"|"checkbox"|"single_select"|"multi_select"|"signature"|string
---@field id? string
---@field label? string
---@field value? string|boolean
---@field isEmpty? boolean
---@field valueItems? LlamaCloud.ParseFormNode[]
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseFormSection
---@field type "section"
---@field items LlamaCloud.ParseFormNode[]
---@field id? string
---@field label? string

---@class LlamaCloud.ParseFormTable
---@field type "table"
---@field rows (string|userdata|{ items: LlamaCloud.ParseFormNode[] })[][] an empty cell is llama_cloud.null
---@field columns? string[]
---@field id? string
---@field label? string
---@field bbox? LlamaCloud.BBox[]

---@class LlamaCloud.ParseFormList
---@field type "list"
---@field ordered boolean
---@field items (LlamaCloud.ParseFormList|LlamaCloud.ParseFormListText)[]
---@field md string

---@class LlamaCloud.ParseFormListText
---@field type "text"
---@field value string
---@field md string

---@class LlamaCloud.ParseImages
---@field images LlamaCloud.ParseImage[]
---@field total_count integer

---@class LlamaCloud.ParseImage
---@field filename string
---@field index integer
---@field category? "embedded"|"layout"|"screenshot"|string
---@field content_type? string
---@field bbox? LlamaCloud.Rectangle
---@field presigned_url? string absent: it was not made
---@field size_bytes? integer the service no longer fills it

---@class LlamaCloud.ParseContentMetadata
---@field size_bytes integer
---@field exists? boolean false: it was not made
---@field presigned_url? string absent likewise
