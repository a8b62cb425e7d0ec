//! The help of the command line in Chinese.

const EXIT_STATUS_CHINESE: &str = "\
退出状态:
  0  已完成,或原本如此
  1  被会议室或 roomd 拒绝,或发现问题
  2  用法错误,或必须指明通话
  3  无法连接 roomd
  4  无法理解或写入答复";

pub(super) fn in_chinese(command: clap::Command) -> clap::Command {
    let mut command = command
        .about("控制会议室")
        .after_help(EXIT_STATUS_CHINESE)
        .mut_arg("socket", |arg| arg.help("roomd 的套接字"))
        .mut_arg("json", |arg| arg.help("输出供程序使用的 JSON"))
        .mut_arg("language", |arg| arg.help("输出语言;默认为系统语言"));
    for help in &CHINESE {
        command = with_help(command, help.0, help);
    }
    command
}

/// Puts the help of the command of this name, `guests invite` for one of a group, into its place.
fn with_help(command: clap::Command, name: &str, help: &ChineseHelp) -> clap::Command {
    let &(_, about, arguments) = help;
    match name.split_once(' ') {
        Some((group, name)) => command.mut_subcommand(group, |group| with_help(group, name, help)),
        None => command.mut_subcommand(name, |subcommand| {
            arguments
                .iter()
                .fold(subcommand.about(about), |subcommand, (argument, help)| {
                    subcommand.mut_arg(argument, |arg| arg.help(*help))
                })
        }),
    }
}

/// A command, with that of its group before it; what it does, and its arguments.
type ChineseHelp = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const CHINESE: [ChineseHelp; 28] = [
    ("status", "显示会议室及其通话", &[]),
    (
        "call",
        "呼叫一个地址",
        &[
            ("target", "地址,例如 sip:board@example.com"),
            ("account", "使用的账户;默认由会议室选择"),
        ],
    ),
    ("join", "按下加入按钮", &[]),
    ("answer", "接听来电", &[("leg", "有多个来电时指明哪一路")]),
    ("decline", "拒接来电", &[("leg", "有多个来电时指明哪一路")]),
    ("hangup", "挂断", &[("leg", "哪一路;默认全部")]),
    (
        "mute",
        "静音(on)或开启(off)麦克风",
        &[("state", "所需状态")],
    ),
    (
        "camera",
        "显示(on)或隐藏(off)摄像头画面",
        &[("state", "所需状态")],
    ),
    (
        "slides",
        "在通话中展示(on)或停止展示(off)幻灯片",
        &[("state", "所需状态")],
    ),
    ("hold", "保持通话", &[("leg", "有多路通话时指明哪一路")]),
    (
        "resume",
        "恢复本方保持的通话",
        &[("leg", "有多路保持时指明哪一路")],
    ),
    (
        "dtmf",
        "发送按键音",
        &[
            ("digits", "1 到 64 个 0-9、*、#、A-D"),
            ("leg", "有多路通话时指明哪一路"),
        ],
    ),
    (
        "register",
        "重新注册失败或被锁定的账户",
        &[("account", "账户名称,见 status")],
    ),
    (
        "volume",
        "设置扬声器音量",
        &[("percent", "0(静音)到 100(最大)")],
    ),
    ("layout", "设置远端画面布局", &[("layout", "所需布局")]),
    ("watch", "持续显示变化,直到中断", &[]),
    (
        "picture",
        "将画面保存为 JPEG",
        &[
            ("file", "要写入的文件"),
            ("of", "谁的画面"),
            ("slides", "幻灯片,而非摄像头画面"),
            ("leg", "有多个远端时指明哪一路"),
        ],
    ),
    ("stats", "显示通话的测量数据", &[("leg", "哪一路;默认全部")]),
    (
        "sip-ladder",
        "绘制一路通话的 SIP 消息:发往何处、何时、得到何种应答",
        &[
            ("leg", "哪一路,可以已经结束;默认最新一路"),
            ("refused", "最近一次立即被拒绝的来电,例如陌生人的"),
            ("full", "同时输出消息内容,不含机密信息"),
            ("svg", "改为写入 SVG 图片"),
        ],
    ),
    (
        "guests",
        "访客从浏览器加入会议的链接,以及访客服务器的证书",
        &[],
    ),
    (
        "guests invite",
        "创建并输出一个会议链接;此后无法再次查看",
        &[
            ("label", "列表中的名称"),
            ("lifetime", "有效期,分钟:5 到 43200;默认按配置"),
            ("admit", "访客是否需要等待放行;默认按配置"),
        ],
    ),
    ("guests list", "列出有效的链接", &[]),
    (
        "guests revoke",
        "撤销一个链接,并结束由它加入的通话",
        &[("invitation", "编号,见列表")],
    ),
    (
        "guests renew-certificate",
        "立即通过 ACME 重新签发访客服务器的证书,无论此前是否失败,除非其服务器要求稍后",
        &[],
    ),
    (
        "guests test",
        "测试访客能否到达会议室:页面、TURN 服务器、公网地址",
        &[],
    ),
    ("openapi", "输出 API 的描述", &[]),
    (
        "completion",
        "输出 shell 的补全脚本",
        &[("shell", "哪种 shell")],
    ),
    ("man", "将手册页写入目录", &[("directory", "目录")]),
];
