"""The canonical tables, each column declared once: names, types, units, coded values, ranges and source.

Reading, validation, the store, the data dictionary and the synthetic county all derive from these
declarations. Names and Chinese headers follow the project's data contract; a test compares the two.
"""

from __future__ import annotations

from relapse_risk.panel.schema import (
    KEY,
    REQUIRED,
    Table,
    category,
    code,
    day,
    flag,
    integer,
    items,
    listed,
    month,
    number,
    text,
    year,
)

RISK_TYPES = listed(
    "因病、因残、因学、因自然灾害、因意外事故、因产业项目失败、"
    "因务工就业不稳、缺劳动力、因安全住房、因安全饮水、因疫、其他"
)

LABOUR_SKILLS = listed("技能劳动力、普通劳动力、弱劳动力或半劳动力、丧失劳动力、无劳动力")

WORK_PLACES = listed("县内、省内、京津、省外、无")

EVENT_TYPES = listed(
    "住院、门诊、大病确诊、失学、灾害、意外、疫情、失业、"
    "公益岗到期、低保渐退、住房鉴定、停水、新增残疾、贷款逾期、热线、防贫保理赔"
)

DEPARTMENTS = listed("医保、卫健、民政、教育、住建、水利、人社、应急、残联、公安、金融、农业农村、热线")

MEASURE_TYPES = listed("产业、就业、公益岗位、金融、健康、教育、住房、饮水、综合保障、社会帮扶、搬迁后扶")

HOUSEHOLD = Table(
    "household",
    "家庭",
    (
        code("household_id", "户编号", need=KEY, source="农业农村"),
        day("recorded_on", "录入日期", need=REQUIRED, note="the day the system knew this row"),
        text("scheme_version", "政策版本"),
        code("county_code", "县代码", need=REQUIRED, source="农业农村", note="6 digits"),
        text("county_name", "县", source="农业农村"),
        code("township_code", "乡镇代码", need=REQUIRED, source="农业农村", note="9 digits"),
        text("township_name", "乡镇", source="农业农村"),
        code("village_code", "村代码", need=REQUIRED, source="农业农村", note="12 digits"),
        text("village_name", "村", source="农业农村"),
        category("household_type", "户类型", ("脱贫户", "一般农户"), need=REQUIRED, source="农业农村"),
        year("lifted_year", "脱贫年度", source="农业农村"),
        category(
            "monitor_category",
            "监测对象类别",
            ("脱贫不稳定户", "边缘易致贫户", "突发严重困难户", "非监测"),
            need=REQUIRED,
            source="农业农村",
        ),
        month("identified_on", "识别监测时间", source="农业农村"),
        items(
            "risk_types",
            "致贫返贫风险",
            RISK_TYPES,
            source="农业农村",
            note="separated by 、 ; or one column each (致贫返贫风险1…5)",
        ),
        flag("risk_cleared", "风险是否已消除", source="农业农村"),
        month("cleared_on", "风险消除时间", source="农业农村"),
        category("clear_mode", "风险消除方式", ("帮扶消除", "自然消除"), source="农业农村"),
        category(
            "lowincome_class", "低收入类别", ("低保", "特困", "低保边缘", "刚性支出困难", "无"), source="民政"
        ),
        category("relocation_type", "搬迁类型", ("无", "易地搬迁", "空心村"), source="农业农村"),
        integer("site_size", "安置区人口", unit="人", minimum=0, source="农业农村"),
        flag("title_registered", "产权登记", source="自然资源"),
        flag("all_no_labour", "整户无劳动能力", source="农业农村"),
        number("arable_mu", "耕地面积", unit="亩", minimum=0, maximum=10000, source="农业农村"),
        number("orchard_mu", "林果面积", unit="亩", minimum=0, maximum=10000, source="农业农村"),
        number("road_km", "与村主干路距离", unit="km", minimum=0, maximum=500, source="农业农村"),
        category("coop_linkage", "利益联结", ("无", "合作社", "龙头企业", "车间", "其他"), source="农业农村"),
        number("loan_balance_yuan", "小额信贷余额", unit="元", minimum=0, source="金融"),
        integer("loan_overdue_days", "信贷逾期天数", unit="天", minimum=0, maximum=20000, source="金融"),
        flag("agri_insured", "农业保险", source="金融"),
        code("helper_id", "帮扶责任人", source="农业农村"),
        code("monitor_id", "监测责任人", source="农业农村"),
        code("census_baseline_id", "普查户编码", source="统计"),
        year("house_built_year", "房屋建成年份", source="住建"),
        flag("village_is_lifted", "是否脱贫村", source="农业农村"),
        code("predecessor_id", "原户编号", source="农业农村", note="after a split, merger or recoding"),
    ),
    is_snapshot=True,
)

MEMBER = Table(
    "member",
    "成员",
    (
        code("member_id", "成员编号", need=KEY, source="农业农村"),
        code("household_id", "户编号", need=REQUIRED, source="农业农村"),
        day("recorded_on", "录入日期", need=REQUIRED),
        text("scheme_version", "政策版本"),
        month("birth_month", "出生年月", need=REQUIRED, source="公安"),
        category("sex", "性别", ("男", "女"), need=REQUIRED, source="公安", note="audit only"),
        category(
            "relation",
            "与户主关系",
            ("户主", "配偶", "子女", "父母", "孙子女", "祖父母", "儿媳女婿", "兄弟姐妹", "其他"),
            need=REQUIRED,
            source="农业农村",
        ),
        flag("is_present", "是否在户", source="农业农村", note="false once moved out or died"),
        category(
            "education",
            "文化程度",
            ("文盲或半文盲", "小学", "初中", "高中或中职", "大专及以上"),
            source="教育",
        ),
        category(
            "school_status",
            "在校生状况",
            ("非在校", "学前", "小学", "初中", "高中或中职", "大专及以上"),
            source="教育",
        ),
        category(
            "not_school_reason", "未上学原因", ("身体原因", "已毕业", "厌学", "务工", "其他"), source="教育"
        ),
        items("health_status", "健康状况", ("健康", "长期慢性病", "患有大病", "残疾"), source="卫健"),
        code("disease30_code", "大病病种", source="卫健"),
        items("chronic4", "慢病病种", ("高血压", "糖尿病", "肺结核", "严重精神障碍"), source="卫健"),
        flag("family_doctor", "家庭医生签约", source="卫健"),
        integer("disability_grade", "残疾等级", values=(1, 2, 3, 4), minimum=0, source="残联"),
        category("labour_skill", "劳动技能", LABOUR_SKILLS, need=REQUIRED, source="农业农村"),
        flag("adl_dependent", "生活不能自理", source="民政"),
        flag("left_behind_child", "留守儿童", source="民政"),
        flag("child_difficulty", "困境儿童", source="民政"),
        flag("orphan_defacto", "孤儿或事实无人抚养儿童", source="民政"),
        flag("elder_alone", "独居老人", source="民政"),
        flag("liang_hou_sheng", "两后生", source="教育"),
        flag("med_insured", "基本医疗保险", source="医保"),
        flag("premium_subsidised", "参保资助", source="医保"),
        flag("critical_insured", "大病保险", source="医保"),
        flag("pension_insured", "养老保险", source="人社"),
        flag("pension_proxy_paid", "养老保险代缴", source="人社"),
        flag("on_dibao", "享受低保", source="民政"),
        flag("on_tekun", "享受特困供养", source="民政"),
        category("work_status", "务工状态", ("在岗", "离岗", "未务工"), source="人社"),
        category("work_place", "务工地点", WORK_PLACES, source="人社"),
        day("job_start_on", "务工开始日期", source="人社"),
        day("job_end_on", "离岗日期", source="人社"),
        number("monthly_wage_yuan", "务工月收入", unit="元", minimum=0, maximum=100000, source="人社"),
        flag("chronic_managed", "慢病规范管理", source="卫健"),
        category("leave_reason", "离户原因", ("死亡", "迁出"), source="公安", note="once no longer present"),
    ),
    is_snapshot=True,
)

OBSERVATION = Table(
    "observation",
    "监测记录",
    (
        code("household_id", "户编号", need=KEY, source="农业农村"),
        day("period_end", "期末日期", need=KEY, source="农业农村", note="last day of the period"),
        integer("period_months", "统计月数", values=(1, 3, 12), need=REQUIRED, unit="月", source="农业农村"),
        day("recorded_on", "录入日期", need=REQUIRED),
        text("scheme_version", "政策版本"),
        number("n_person", "家庭人口", need=REQUIRED, unit="人", minimum=0.1, maximum=60, source="农业农村"),
        number("wage_income_yuan", "工资性收入", unit="元", minimum=0, source="人社"),
        number("business_income_yuan", "生产经营性收入", unit="元", minimum=0, source="农业农村"),
        number("business_cost_yuan", "生产经营性支出", unit="元", minimum=0, source="农业农村"),
        number("property_income_yuan", "财产性收入", unit="元", minimum=0, source="农业农村"),
        number(
            "asset_dividend_yuan",
            "资产收益分红",
            unit="元",
            minimum=0,
            source="农业农村",
            note="part of property income",
        ),
        number("transfer_income_yuan", "转移性收入", unit="元", minimum=0, source="民政"),
        number(
            "dibao_amount_yuan", "低保金", unit="元", minimum=0, source="民政", note="part of transfer income"
        ),
        number(
            "pension_amount_yuan",
            "养老金",
            unit="元",
            minimum=0,
            source="人社",
            note="part of transfer income",
        ),
        number("claim_income_yuan", "理赔收入", unit="元", minimum=0, source="医保"),
        number("oop_compliant_yuan", "合规自付支出", unit="元", minimum=0, source="医保"),
        number("education_cost_yuan", "教育自付支出", unit="元", minimum=0, source="教育"),
        number("rehab_cost_yuan", "康复自付支出", unit="元", minimum=0, source="残联"),
        number("housing_cost_yuan", "住房支出", unit="元", minimum=0, source="住建"),
        number(
            "net_income_yuan",
            "家庭纯收入",
            unit="元",
            source="农业农村",
            note="= wage + business − cost + property + transfer",
        ),
        number(
            "work_months",
            "务工月数",
            unit="月",
            minimum=0,
            maximum=360,
            source="人社",
            note="sum over workers in the period",
        ),
        integer("workers_n", "务工人数", unit="人", minimum=0, maximum=30, source="人社"),
        category("work_place", "务工地点", WORK_PLACES, source="人社"),
        category("house_grade", "住房安全等级", ("A", "B", "C", "D"), source="住建"),
        flag("water_safe", "饮水安全", source="水利"),
        integer("dropout_n", "辍学人数", unit="人", minimum=0, maximum=30, source="教育"),
        integer("uninsured_n", "未参保人数", unit="人", minimum=0, maximum=60, source="医保"),
        flag("food_clothing_ok", "不愁吃穿", source="农业农村"),
        flag("self_reported", "是否自主申报", source="农业农村"),
        number(
            "public_post_income_yuan",
            "公益岗位收入",
            unit="元",
            minimum=0,
            source="人社",
            note="part of wage income",
        ),
        number(
            "subsidy_amount_yuan",
            "政策补贴",
            unit="元",
            minimum=0,
            source="民政",
            note="part of transfer income",
        ),
        number(
            "noncompulsory_education_cost_yuan",
            "非义务教育支出",
            unit="元",
            minimum=0,
            source="教育",
            note="part of education cost",
        ),
        flag("below_line", "低于监测线", note="status as handed in, where a source gives no income"),
    ),
    happened="period_end",
)

EVENT = Table(
    "event",
    "部门事件",
    (
        code("event_id", "事件编号", need=KEY),
        code("household_id", "户编号", need=REQUIRED),
        code("member_id", "成员编号"),
        category("event_type", "事件类型", EVENT_TYPES, need=REQUIRED),
        day("event_date", "发生日期", need=REQUIRED),
        day("recorded_on", "接收日期", need=REQUIRED),
        category("source_dept", "推送部门", DEPARTMENTS, need=REQUIRED),
        number("amount_yuan", "金额", unit="元", minimum=0, note="total bill, loss or claim"),
        number("basic_paid_yuan", "基本医保支付", unit="元", minimum=0, source="医保"),
        number("critical_paid_yuan", "大病保险支付", unit="元", minimum=0, source="医保"),
        number("aid_paid_yuan", "医疗救助支付", unit="元", minimum=0, source="医保"),
        number("oop_yuan", "自付金额", unit="元", minimum=0, source="医保"),
        integer("days", "天数", unit="天", minimum=0, maximum=3660, note="stay, outage or overdue days"),
        text("grade", "等级", note="house grade, disability grade"),
        day("due_date", "到期日期", note="end of a post or an allowance"),
        code("disease_code", "病种", source="卫健"),
        category("severity", "严重程度", ("轻", "中", "重", "死亡")),
        text("hazard_type", "灾害类型", source="应急"),
        flag("house_damaged", "房屋受损", source="应急"),
    ),
    happened="event_date",
)

MEASURE = Table(
    "measure",
    "帮扶措施",
    (
        code("measure_id", "措施编号", need=KEY),
        code("household_id", "户编号", need=REQUIRED),
        code("member_id", "成员编号"),
        category("measure_type", "措施类型", MEASURE_TYPES, need=REQUIRED),
        category("measure_class", "政策类别", ("兜底救助", "普惠民生", "发展", "金融土地人才")),
        day("start_on", "开始日期", need=REQUIRED),
        day("end_on", "结束日期"),
        day("recorded_on", "录入日期", need=REQUIRED),
        number("amount_yuan", "金额", unit="元", minimum=0),
        text("dept", "实施部门"),
        category("status", "状态", ("拟定", "实施中", "完成", "中止")),
    ),
    happened="start_on",
)

VISIT = Table(
    "visit",
    "走访记录",
    (
        code("visit_id", "走访编号", need=KEY),
        code("list_id", "清单编号"),
        code("household_id", "户编号", need=REQUIRED),
        day("planned_on", "计划日期"),
        day("visited_on", "走访日期"),
        day("recorded_on", "录入日期", need=REQUIRED),
        category("visitor_role", "走访人员", ("第一书记", "驻村队员", "村干部", "网格员", "帮扶责任人")),
        category("outcome", "核实结果", ("属实", "部分属实", "不属实", "未见到户", "外出")),
        items("verified_risk_types", "核实风险", RISK_TYPES),
        flag("need_inclusion", "建议纳入"),
        flag("emergency_aid", "紧急救助"),
        text("remark", "备注"),
    ),
    happened="visited_on",
)

WORKFLOW = Table(
    "workflow",
    "认定流程",
    (
        code("case_id", "案件编号", need=KEY),
        code("household_id", "户编号", need=REQUIRED),
        category("channel", "发现渠道", ("自主申报", "部门比对", "干部排查", "模型提示"), need=REQUIRED),
        day("discovered_on", "发现日期", need=REQUIRED),
        day("verified_on", "入户核实日期"),
        day("review_on", "民主评议日期"),
        day("publicity_start", "公示开始"),
        day("publicity_end", "公示结束"),
        day("township_on", "乡级审核日期"),
        day("county_on", "县级确定日期"),
        category("decision", "结论", ("纳入", "不纳入", "消除", "退回")),
        day("recorded_on", "录入日期", need=REQUIRED),
    ),
    happened="discovered_on",
)

THRESHOLD = Table(
    "threshold",
    "阈值",
    (
        code("param", "参数", need=KEY),
        code("area_code", "适用地区", need=KEY, note="* or a prefix of a county code"),
        day("effective_from", "生效日期", need=KEY),
        day("effective_to", "失效日期"),
        number("value", "数值", need=REQUIRED),
        text("unit", "单位"),
        text("source", "依据", need=REQUIRED),
        flag("verified", "已核实", need=REQUIRED),
        day("recorded_on", "录入日期", need=REQUIRED),
    ),
    happened="effective_from",
)

COUNTY_MONTH = Table(
    "county_month",
    "县月度",
    (
        code("county_code", "县代码", need=KEY),
        month("month", "年月", need=KEY),
        day("recorded_on", "录入日期", need=REQUIRED),
        integer("lifted_n", "脱贫人口", unit="人", minimum=0),
        integer("monitored_n", "监测人口", unit="人", minimum=0),
        integer("new_n", "新识别户数", unit="户", minimum=0),
        integer("cleared_n", "消除户数", unit="户", minimum=0),
        flag("is_key_county", "重点帮扶县"),
        number("rural_dpi_prev_yuan", "上年农村居民人均可支配收入", unit="元", minimum=0, source="统计"),
        number("dibao_standard_yuan", "低保标准", unit="元/年", minimum=0, source="民政"),
        number("cpi", "居民消费价格指数", minimum=0, maximum=1000, source="统计"),
        number("disaster_index", "灾害指数", source="应急"),
    ),
    happened="month",
)

CONTACT = Table(
    "contact",
    "联系方式",
    (
        code("household_id", "户编号", need=KEY, note="never in the store"),
        text("head_name", "户主姓名"),
        text("phone", "联系电话"),
        text("address", "住址"),
        day("recorded_on", "录入日期"),
        text("helper_name", "帮扶责任人姓名"),
        text("helper_phone", "帮扶责任人电话"),
    ),
    is_stored=False,
)

TABLES: tuple[Table, ...] = (
    HOUSEHOLD,
    MEMBER,
    OBSERVATION,
    EVENT,
    MEASURE,
    VISIT,
    WORKFLOW,
    THRESHOLD,
    COUNTY_MONTH,
    CONTACT,
)

TABLE_BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}
